"""Which kinds of objects a cluster knows, and at which paths."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skerry.errors import PlatformError
from skerry.platforms.kubernetes.api.connection import Connection
from skerry.platforms.kubernetes.api.refusals import missing_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object.

    Args:
        api_version: Such as ``apps/v1``.
        name: Such as ``Deployment``.
        resource: The word in paths and rights, such as ``deployments``.
        namespaced: Whether its objects live in namespaces.
    """

    api_version: str
    name: str
    resource: str
    namespaced: bool

    @property
    def group(self) -> str:
        """The group of the API; empty for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str = "", part: str = "") -> str:
        """Return the path of an object, or of all.

        Args:
            namespace: Its namespace; none for those of all namespaces.
            name: The object; empty for all.
            part: A part of it, such as ``log``.
        """
        base = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return "/".join(piece for piece in (f"{base}{place}/{self.resource}", name, part) if piece)


class Kinds:
    """What a cluster knows, asked once per API; threads may share it.

    Args:
        connection: Where to ask.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[str, Mapping[str, Kind]] = {}

    def find(self, api_version: str, kind: str) -> Kind:
        """Return a kind.

        Raises:
            PlatformError: the cluster does not know it; the message says what to install.
        """
        found = self._ask(api_version).get(kind)
        if found is None:
            with self._lock:  # it may have been installed since
                self._known.pop(api_version, None)
            raise missing_kind(api_version, kind)
        return found

    def has(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows a kind."""
        return kind in self._ask(api_version)

    def _ask(self, api_version: str) -> Mapping[str, Kind]:
        with self._lock:
            if api_version in self._known:
                return self._known[api_version]
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = self._connection.request("GET", path, doing=f"looking which kinds {api_version} has")
        except PlatformError as error:
            if error.details.get("reason") != "not_found":
                raise
            return {}
        kinds = {
            entry["kind"]: _read(api_version, entry)
            for entry in reversed(answer.get("resources", []))
            if "/" not in entry["name"]
        }
        with self._lock:
            self._known[api_version] = kinds
        return kinds


def _read(api_version: str, entry: Mapping[str, Any]) -> Kind:
    return Kind(
        api_version=api_version, name=entry["kind"], resource=entry["name"], namespaced=bool(entry["namespaced"])
    )
