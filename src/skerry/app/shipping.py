"""Deploying an app on a site: its source goes there in a bundle, once per digest."""

from __future__ import annotations

import ast
import gzip
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.app.credential_files import refuse_credentials
from skerry.app.target import Target
from skerry.errors import ConfigError, PrivacyError
from skerry.spec import PROJECT_FILE, read_project_file

if TYPE_CHECKING:
    from skerry.engine.sources.bundle import Member
    from skerry.platforms.engine.client import EnginePlatform


def ship(
    platform: EnginePlatform,
    target: Target,
    *,
    flags: Sequence[str] = (),
    environment: str = "",
    bundle: tuple[str, bytes] | None = None,
) -> dict[str, Any]:
    """Deploy an app on an engine of another machine.

    What is sent is what an engine here would copy, without the files that hold the tokens of sites, and with a lock
    file, ``skerry.lock``: the project's own, or one with the versions that are installed here.

    Args:
        platform: Where to deploy.
        target: The app. One that is an installed module here has to be installed there already.
        flags: ``FUNCTION.OPTION=VALUE`` settings.
        environment: Text of ``SKERRY_SET``.
        bundle: What `make_bundle` returned, where the app goes to several platforms; made by default.

    Returns:
        ``app``, ``functions``, ``changed``, and ``bundle``: ``digest``, ``size_bytes`` (as it travels), ``sent``.

    Raises:
        ConfigError: the project cannot be sent as it is.
    """
    if target.project is None:
        return platform.deploy(str(target), flags=flags, environment=environment)
    digest, packed = bundle or make_bundle(target)
    sent = platform.send_bundle(digest, packed)
    deployed = platform.deploy(target.inside, flags=flags, environment=environment, bundle=digest)
    return {**deployed, "bundle": {"digest": digest, "size_bytes": len(packed), "sent": sent}}


def make_bundle(target: Target) -> tuple[str, bytes]:
    """Return the bundle of an app: its digest, and its bytes, compressed by gzip.

    Raises:
        ConfigError: the project is too large, has links that lead out of it, or would give away a token.
        PrivacyError: one of its functions is labelled ``local``.
    """
    from skerry.engine.sources.bundle import Member, digest_of, pack
    from skerry.engine.sources.requirements import LOCK_FILE, lock_of

    collected = collect(target)
    members = {file.path: file for file in collected.files}
    if collected.requirements and LOCK_FILE not in members:
        members[LOCK_FILE] = Member(LOCK_FILE, lock_of(collected.requirements).encode())
    # A folder with this file is a project, of which everything is copied; without it, only a part would be.
    members.setdefault(PROJECT_FILE, Member(PROJECT_FILE, b""))
    bundle = pack(members.values())
    # Without a name and a time in it, and with the digest of what is inside.
    return digest_of(bundle), gzip.compress(bundle, mtime=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What of an app goes to another machine.

    Args:
        file: The app's file, relative to the project's folder.
        digest: Of its source as a whole.
        files: Its files.
        requirements: What it needs installed.
        imports: What it wants imported ahead.
        lock: Its lock file; empty without one.
    """

    file: str
    digest: str
    files: tuple[Member, ...]
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    lock: str


def collect(target: Target) -> Collected:
    """Return an app's source without the files that hold tokens of sites.

    Raises:
        ConfigError: the project is too large, has links that lead out of it, or would give away a token or a key.
        PrivacyError: one of its functions is labelled ``local``.
    """
    from skerry.engine.sources.bundle import Member
    from skerry.engine.sources.requirements import declared_imports, declared_requirements, read_lock
    from skerry.engine.sources.source import take
    from skerry.engine.sources.tree import list_tree

    if target.project is None:
        raise ConfigError(f"target {target} is an installed module, whose source is not sent")
    secrets = _token_files(target)
    with tempfile.TemporaryDirectory(prefix="skerry-bundle-") as folder:
        source = take(str(target), Path(folder) / "sources")
        root, file = Path(folder) / "sources" / source.digest, source.file or ""
        project = {} if source.project_file is None else read_project_file(source.project_file)
        files = tuple(
            Member(entry.path, (root / entry.path).read_bytes(), executable=os.access(root / entry.path, os.X_OK))
            for entry in list_tree(root)
            if entry.path not in secrets
        )
        refuse_credentials(files)
        _refuse_local(root / file, project)
        return Collected(
            file=file,
            digest=source.digest,
            files=files,
            requirements=declared_requirements(project, source),
            imports=declared_imports(project, source),
            lock=read_lock(source),
        )


def _refuse_local(file: Path, project: Mapping[str, Any]) -> None:
    """Raise PrivacyError when an app, read without running it, has functions that stay at their site.

    What this does not see, such as a label that is computed, the site sees and refuses.
    """
    labelled = [name for name, options in project.get("function", {}).items() if options.get("local") is True]
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return  # importing it says what is wrong, and where
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("App", "function", "serve"):
            labelled += [f"line {node.lineno}" for keyword in node.keywords if _is_local(keyword)]
    if labelled:
        raise PrivacyError(
            f"{file.name} has what is labelled local, {', '.join(labelled)}: it is not sent to another machine",
            hint="deploy it on its site itself, or keep the other functions in an app of their own",
        )


def _is_local(keyword: ast.keyword) -> bool:
    return keyword.arg == "local" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True


def _token_files(target: Target) -> set[str]:
    """Return the files of a project that hold tokens of sites, relative to it: no site is told another one's.

    Raises:
        ConfigError: a token stands in ``skerry.toml`` itself, which has to be sent.
    """
    folder = target.project
    if folder is None or not (folder / PROJECT_FILE).is_file():
        return set()
    sites: Mapping[str, Any] = read_project_file(folder / PROJECT_FILE).get("sites", {})
    given_away = [name for name, site in sites.items() if site.token is not None]
    if given_away:
        raise ConfigError(
            f"{folder / PROJECT_FILE} holds the token of {', '.join(given_away)}, and is sent with the app",
            hint="write the token to a file and name it with token_file, which is not sent",
        )
    files = [site.token_file.resolve() for site in sites.values() if site.token_file is not None]
    root = folder.resolve()
    return {str(file.relative_to(root)) for file in files if file.is_relative_to(root)}
