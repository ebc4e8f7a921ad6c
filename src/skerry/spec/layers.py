"""Where options come from, and which one wins: flag > environment > file > decorator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import SpecError
from skerry.spec.function import FunctionSpec, function_spec
from skerry.spec.names import PROJECT_FILE, SET_VARIABLE
from skerry.spec.option import support_matrix
from skerry.spec.state import STATE_VARIABLE, check_state_url

if TYPE_CHECKING:
    from pathlib import Path

# Options that are tables of texts; nearer keys are added to those farther.
TABLES = ("env", "node_labels", "volumes")

Overrides = dict[str, dict[str, Any]]


def read_project_file(path: Path) -> dict[str, Any]:
    """Return the checked content of a ``skerry.toml``.

    Returns:
        The tables ``app`` (``target``, ``requirements``, ``imports``), ``data`` (``local``: patterns of files that must
        not leave their site), ``function`` (options by function name), ``sites`` (`Site` by name), ``platform``
        (`PlatformTable` by platform) and ``state`` (``url``: where states are kept).

    Raises:
        SpecError: the file is not TOML, or has a table or key that is not known.
    """
    import tomllib  # this and what else only a file needs is not imported by those who have none

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not a TOML file: {error}") from error
    _refuse_unknown(content, {"app", "data", "function", "platform", "sites", "state"}, where=str(path))
    app = content.get("app", {})
    _refuse_unknown(app, {"target", "requirements", "imports"}, where=f"{path}: [app]")
    data = content.get("data", {})
    _refuse_unknown(data, {"local"}, where=f"{path}: [data]")
    for table, key, value in (
        ("app", "requirements", app.get("requirements", [])),
        ("app", "imports", app.get("imports", [])),
        ("data", "local", data.get("local", [])),
    ):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SpecError(f"{path}: [{table}] {key}: expected a list of strings, got {value!r}", field=key)
    if not isinstance(content.get("function", {}), dict):
        raise SpecError(f"{path}: write options as [function.NAME]", field="function")
    if "state" in content:
        _refuse_unknown(content["state"], {"url"}, where=f"{path}: [state]")
        check_state_url(content["state"].get("url"), where=f"{path}: [state] url")
    if "sites" in content:
        from skerry.spec.site import read_sites

        content["sites"] = read_sites(content["sites"], folder=path.absolute().parent, where=str(path))
    if "platform" in content:
        from skerry.spec.cluster import read_platforms

        content["platform"] = read_platforms(content["platform"], where=str(path))
    return content


def parse_settings(settings: Iterable[str], *, where: str) -> Overrides:
    """Return the options that ``FUNCTION.OPTION=VALUE`` settings describe, by function.

    Args:
        settings: Such as ``"train.memory=300MiB"`` or ``"train.scale.max=2"``; the value is read as TOML, else as text,
            which that of a variable, as in ``"train.env.THREADS=1"``, always is.
        where: Where the settings come from, for the message.

    Raises:
        SpecError: a setting is not of that form.
    """
    found: Overrides = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        parts = path.strip().split(".")
        if not equals or len(parts) not in (2, 3) or not all(parts):
            raise SpecError(f"{where}: {setting!r}: write FUNCTION.OPTION=VALUE, like train.memory=300MiB")
        target: dict[str, Any] = found.setdefault(parts[0], {})
        for part in parts[1:-1]:
            target = target.setdefault(part, {})
        value = _read_value(text)
        target[parts[-1]] = text if parts[1] in TABLES and len(parts) == 3 and not isinstance(value, str) else value
    return found


def resolve(
    declared: Mapping[str, Mapping[str, Any]],
    *,
    file: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Iterable[str] = (),
    platform: str | None = None,
) -> dict[str, FunctionSpec]:
    """Return the spec of every function, with flag > environment > file > decorator.

    What a file says for one platform counts there, and more than what it says for all.

    Args:
        declared: Options of each function as its decorator gave them, by function name.
        file: Content of ``skerry.toml`` from :func:`read_project_file`.
        environment: Variables to read ``SKERRY_SET`` from; settings in it are divided by white space. Where they have
            ``SKERRY_STATE``, the functions have it too, and what the file says of states does not count.
        flags: ``FUNCTION.OPTION=VALUE`` settings of the command line.
        platform: Where the functions are to run, for ``[platform.PLATFORM.function.NAME]``.

    Raises:
        SpecError: an option is unknown, of a wrong type or out of range, or set for a function that is not there.
    """
    environment = os.environ if environment is None else environment
    table = (file or {}).get("platform", {}).get(platform)
    sources: list[tuple[str, Mapping[str, Any]]] = [
        (PROJECT_FILE, (file or {}).get("function", {})),
        (f"{PROJECT_FILE}: [platform.{platform}]", {} if table is None else table.functions),
        (SET_VARIABLE, parse_settings(environment.get(SET_VARIABLE, "").split(), where=SET_VARIABLE)),
        ("--set", parse_settings(flags, where="--set")),
    ]
    for where, functions in sources:
        for name in functions:
            if name not in declared:
                raise SpecError(
                    f"{where}: no function {name!r} in this app; it has: {', '.join(sorted(declared))}",
                    field=name,
                )
    specs = {}
    state = {} if STATE_VARIABLE in environment else _state_variable(file)
    for name, options in declared.items():
        values: dict[str, Any] = {"name": name, **options}
        if state:
            values["env"] = {**state, **(values.get("env") or {})}
        for where, functions in sources:
            values = _merge(values, functions.get(name, {}), where=f"{where}: {name}")
        specs[name] = function_spec(values, where=f"function {name!r}")
        if STATE_VARIABLE in specs[name].env:
            check_state_url(specs[name].env[STATE_VARIABLE], where=f"function {name!r}: env: {STATE_VARIABLE}")
    _check_sinks(specs)
    return specs


def _check_sinks(specs: Mapping[str, FunctionSpec]) -> None:
    for name, spec in specs.items():
        for retry in spec.retries:
            sink = retry.dead_letter_sink or ""
            if sink.startswith("/function/") and sink.removeprefix("/function/") not in specs:
                raise SpecError(
                    f"function {name!r}: dead_letter_sink = {sink!r}: no such function in this app; it has: "
                    f"{', '.join(sorted(specs))}",
                    field="dead_letter_sink",
                )


def check_platform(spec: FunctionSpec, platform: str) -> list[str]:
    """Return the names of the options that are set in ``spec`` and that ``platform`` does not honour."""
    ignored = []
    parts: list[tuple[str, Any, Any]] = [
        ("", spec, FunctionSpec(name=spec.name)),
        ("scale.", spec.scale, type(spec.scale)()),
    ]
    if spec.batch is not None:
        parts.append(("batch.", spec.batch, type(spec.batch)()))
    for prefix, part, default in parts:
        for name, platforms in support_matrix(type(part)).items():
            if name != "scale" and platform not in platforms and getattr(part, name) != getattr(default, name):
                ignored.append(prefix + name)
    return ignored


def refuse_unsupported(spec: FunctionSpec, platform: str) -> None:
    """Raise `SpecError` when an option is set that a platform does not honour.

    Example:
        ``refuse_unsupported(spec, KNATIVE)``
    """
    ignored = check_platform(spec, platform)
    if ignored:
        raise SpecError(
            f"function {spec.name!r}: {platform} does not honour {', '.join(ignored)}; leave it out, or set it only "
            f"for the platforms that do, in {PROJECT_FILE} under [platform.PLATFORM.function.{spec.name}]",
            field=ignored[0],
        )


def _merge(base: dict[str, Any], update: Any, *, where: str) -> dict[str, Any]:
    if not isinstance(update, Mapping):
        raise SpecError(f"{where}: expected a table of options, got {update!r}")
    merged = dict(base)
    for key, value in update.items():
        if isinstance(value, Mapping) and key in ("scale", "batch", *TABLES):
            current = merged.get(key) or {}
            inner = dict(current) if isinstance(current, Mapping) else _options_of(current)
            merged[key] = {**inner, **value}
        else:
            merged[key] = value
    return merged


def _options_of(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in support_matrix(type(part))}


def _state_variable(file: Mapping[str, Any] | None) -> dict[str, str]:
    url = (file or {}).get("state", {}).get("url")
    return {} if url is None else {STATE_VARIABLE: url}


def _read_value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _refuse_unknown(table: Any, known: set[str], *, where: str) -> None:
    if not isinstance(table, dict):
        raise SpecError(f"{where}: expected a table, got {table!r}")
    for key in table:
        if key not in known:
            raise SpecError(f"{where}: unknown key {key!r}; there are: {', '.join(sorted(known))}", field=key)
