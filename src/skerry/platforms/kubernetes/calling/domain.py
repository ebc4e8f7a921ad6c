"""Functions of a cluster that only the ingress is known of: calls, and nothing else."""

from __future__ import annotations

from skerry.errors import TransportError
from skerry.platforms.http.connection import Address, ConnectionPool
from skerry.platforms.kubernetes.api.objects import object_name
from skerry.platforms.kubernetes.calling.calling import CONNECT_TIMEOUT_S, CallingPlatform
from skerry.platforms.kubernetes.calling.routes import Route
from skerry.spec import Site


class DomainPlatform(CallingPlatform):
    """The functions of a site that is called through its ingress alone: no kubeconfig and no API server are needed.

    Args:
        site: With ``address``, ``namespace`` and ``domain``.
        patience_s: Most seconds to wait, in total, before a request is not sent again.

    Example:
        ``DomainPlatform(Site(name="edge", platform="knative", address="http://10.0.0.1", namespace="shop",
        domain="example.com"))``
    """

    def __init__(self, site: Site, *, patience_s: float = 60.0) -> None:
        super().__init__(self._find_route, title=f"site {site.name!r}", site=site, patience_s=patience_s)
        self._site = site
        self._ingress = Address.parse(site.address)

    def ready(self) -> bool:
        """Return whether the ingress answers at all."""
        pool = ConnectionPool(self._ingress, connect_timeout_s=CONNECT_TIMEOUT_S)
        try:
            pool.request("GET", "/", timeout_s=CONNECT_TIMEOUT_S)
        except TransportError:
            return False
        finally:
            pool.close()
        return True

    def _find_route(self, function: str) -> Route:
        host = f"{object_name(function)}.{self._site.namespace}.{self._site.domain}"
        return Route(address=self._ingress, host=host)
