"""A place beyond this machine that runs functions, as ``skerry.toml`` names it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from skerry.errors import SpecError
from skerry.spec.cluster import check_store
from skerry.spec.quantity import parse_size

Tier = Literal["device", "edge", "cloud"]
SitePlatformName = Literal["engine", "knative", "kubernetes"]
NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
HTTP_PORT = 80
HTTPS_PORT = 443
# Keys that mean something to one kind of site only.
FOR_ENGINES = ("token_file", "token_variable", "token", "certificate")
FOR_CLUSTERS = ("kubeconfig", "context", "namespace", "domain", "objects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An engine that is reached over HTTPS with a token, or a namespace of a Kubernetes cluster.

    An engine's token comes from exactly one of ``token_file``, ``token_variable`` and ``token``; the first two keep it
    out of files that are shared. What opens a cluster is in its kubeconfig.

    Args:
        name: Lower-case letters, digits and -, a letter first, no - last, at most 63.
        address: ``https://HOST:PORT``; without a port, 443. Of a cluster: its ingress, ``http://`` as well; without
            it, the cluster is asked.
        tier: ``device``, ``edge`` or ``cloud``.
        labels: What the site is known for, for people and for choosing sites.
        token_file: File that holds the token.
        token_variable: Environment variable that holds the token.
        token: The token itself; it is never shown.
        certificate: File with the site's own certificate, or with that of an authority (PEM); without it, the system's
            authorities decide.
        platform: ``engine``, ``knative`` or ``kubernetes``.
        kubeconfig: File that says where the cluster is, and holds what opens it; none means ``$KUBECONFIG``, else
            ``~/.kube/config``.
        context: Which of the kubeconfig's contexts; none means its current one.
        namespace: Where the functions are; none means the context's.
        domain: The cluster's domain, where functions are called as ``FUNCTION.NAMESPACE.DOMAIN`` through ``address``
            without asking the cluster: nothing but calls is possible then, and no kubeconfig is needed.
        objects: The store that brings files and folders of calls to the containers, as it is reached from here
            (``s3://BUCKET/PATH``); none means the address that the containers were given.
        max_answer: Largest answer that is taken from the site, like ``"512MiB"``: a site that sends without an end does
            not fill this machine's memory. Streams are read as they come and have no such bound.

    Raises:
        SpecError: a value is not of its form.

    Example:
        ``Site(name="edge-1", address="https://10.0.0.1:8443", token_file=Path("edge-1.token"))``
    """

    name: str
    address: str = ""
    tier: Tier = "edge"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    token_file: Path | None = None
    token_variable: str | None = None
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    platform: SitePlatformName = "engine"
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    domain: str | None = None
    objects: str | None = None
    max_answer: str = "512MiB"
    max_answer_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise SpecError(
                f"site {self.name!r}: use lower-case letters, digits and -, a letter first, no - last, at most 63",
                field="name",
            )
        self._check_kind()
        if self.tier not in get_args(Tier):
            raise self._error("tier", self.tier, f"one of {', '.join(get_args(Tier))}")
        if not isinstance(self.labels, Mapping) or not all(
            isinstance(text, str) for pair in self.labels.items() for text in pair
        ):
            raise self._error("labels", self.labels, "a table of texts")
        object.__setattr__(self, "labels", dict(self.labels))
        for key in ("token_file", "certificate", "kubeconfig"):
            value = getattr(self, key)
            if isinstance(value, str) and value:
                object.__setattr__(self, key, Path(value))
            elif value is not None and not isinstance(value, Path):
                raise self._error(key, value, "the name of a file")
        if self.token_variable is not None and (not isinstance(self.token_variable, str) or not self.token_variable):
            raise self._error("token_variable", self.token_variable, "the name of an environment variable")
        if self.token is not None and (
            not isinstance(self.token, str) or not self.token.isascii() or not self.token.isprintable()
        ):
            # Not shown: it is a secret all the same.
            raise SpecError(f"site {self.name!r}: token: expected printable ASCII text", field="token")
        most_bytes = parse_size(self.max_answer, key=f"site {self.name!r}: max_answer")
        if most_bytes < 1:
            raise self._error("max_answer", self.max_answer, "a size above 0, like '512MiB'")
        object.__setattr__(self, "max_answer_bytes", most_bytes)
        given = [key for key in ("token_file", "token_variable", "token") if getattr(self, key) is not None]
        if len(given) > 1:
            raise SpecError(f"site {self.name!r}: {' and '.join(given)}: give one of them", field=given[1])

    def at(self, folder: Path) -> Site:
        """Return the same site with its files taken relative to a folder; ``~`` is expanded."""
        return replace(
            self,
            token_file=_placed(self.token_file, folder),
            certificate=_placed(self.certificate, folder),
            kubeconfig=_placed(self.kubeconfig, folder),
        )

    @property
    def is_cluster(self) -> bool:
        """Whether it is a namespace of a cluster, rather than an engine."""
        return self.platform != "engine"

    def _check_kind(self) -> None:
        if self.platform not in get_args(SitePlatformName):
            raise self._error("platform", self.platform, f"one of {', '.join(get_args(SitePlatformName))}")
        for key in FOR_ENGINES if self.is_cluster else FOR_CLUSTERS:
            if getattr(self, key) is not None:
                other = "an engine" if self.is_cluster else "a cluster"
                raise SpecError(
                    f"site {self.name!r}: {key} is for {other}, and the site's platform is {self.platform}", field=key
                )
        for key in ("context", "namespace", "domain"):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, str) or not value):
                raise self._error(key, value, "text")
        check_store(self.objects, key=f"site {self.name!r}: objects")
        if self.domain is not None and not (self.address and self.namespace):
            raise SpecError(
                f"site {self.name!r}: domain goes with address and namespace: give them too", field="domain"
            )
        if self.address or not self.is_cluster:
            object.__setattr__(self, "address", _checked_address(self.name, self.address, plain=self.is_cluster))

    def _error(self, key: str, value: object, expected: str) -> SpecError:
        return SpecError(f"site {self.name!r}: {key} = {value!r}: expected {expected}", field=key)


def read_sites(table: Any, *, folder: Path, where: str) -> dict[str, Site]:
    """Return the sites that the ``[sites]`` tables of a ``skerry.toml`` describe, by name.

    Args:
        table: What TOML holds under ``sites``.
        folder: Where relative file names start.
        where: Where the table comes from, for the message.

    Raises:
        SpecError: a key is unknown, or a value is not of its form.
    """
    if not isinstance(table, Mapping) or not all(isinstance(values, Mapping) for values in table.values()):
        raise SpecError(f"{where}: write sites as [sites.NAME]", field="sites")
    known = {f.name for f in fields(Site) if f.init} - {"name"}
    found = {}
    for name, values in table.items():
        for key in values:
            if key not in known:
                raise SpecError(
                    f"{where}: [sites.{name}]: unknown key {key!r}; there are: {', '.join(sorted(known))}", field=key
                )
        if "address" not in values and values.get("platform", "engine") == "engine":
            raise SpecError(f"{where}: [sites.{name}]: address is missing, like https://10.0.0.1:8443", field="address")
        try:
            found[name] = Site(name=name, **values).at(folder)
        except SpecError as error:
            raise SpecError(f"{where}: {error.message}", **error.details) from error
    return found


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return the host and the port of ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        SpecError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise SpecError(f"{text!r}: write HOST:PORT, like 0.0.0.0:8443 or [::]:8443", field="listen")
    if ":" in bare and host == bare:
        raise SpecError(f"{text!r}: write an IPv6 address in brackets, like [::]:8443", field="listen")
    return bare, int(port)


def _placed(path: Path | None, folder: Path) -> Path | None:
    return None if path is None else folder / path.expanduser()


def _checked_address(name: str, address: object, *, plain: bool) -> str:
    ports = {"https": HTTPS_PORT, "http": HTTP_PORT} if plain else {"https": HTTPS_PORT}
    forms = " or ".join(f"{scheme}://HOST:PORT" for scheme in ports)
    refused = SpecError(f"site {name!r}: address = {address!r}: write {forms}", field="address")
    if not isinstance(address, str):
        raise refused
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise refused from error
    if parts.scheme not in ports or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise refused
    if "@" in parts.netloc:
        # Not shown: what stands before an @ is a secret more often than not.
        raise SpecError(f"site {name!r}: address: write {forms}, and the token in token_file", field="address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{ports[parts.scheme] if port is None else port}"
