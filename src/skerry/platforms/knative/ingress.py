"""Where a cluster's ingress is: pure decisions on the Services that Knative's network layers make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from skerry.platforms.http.connection import Address

# Namespace and name of the ingress's Service in each network layer that Knative documents.
KNOWN = (
    ("kourier-system", "kourier"),
    ("istio-system", "istio-ingressgateway"),
    ("contour-external", "envoy"),
)
HTTP_PORT = 80
HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """An ingress that was found.

    Args:
        namespace: Of its Service.
        name: Of its Service.
        address: Where it is reached from outside; none where only a port-forward leads to it.
    """

    namespace: str
    name: str
    address: Address | None


def find_ingress(services: Iterable[Mapping[str, Any]]) -> Ingress | None:
    """Return the ingress among a cluster's Services; none where no known network layer is installed.

    Args:
        services: Of all namespaces, or only of those of `KNOWN`.
    """
    by_place = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in services}
    for namespace, name in KNOWN:
        service = by_place.get((namespace, name))
        if service is not None:
            return Ingress(namespace=namespace, name=name, address=_outside(service))
    return None


def way_in(ingress: Address, url: str) -> Address:
    """Return the address of an ingress for one function: over TLS where the function's own address says so.

    Its certificate is then for the function's host name, whatever the ingress itself is called.

    Args:
        ingress: As it was found or named; one on another port than HTTP's is taken as it is.
        url: The function's, of the cluster's choice.
    """
    parts = urlsplit(url)
    host = str(parts.hostname)
    if ingress.secure:
        return replace(ingress, name=host)
    if parts.scheme == "https" and ingress.port == HTTP_PORT:
        return replace(ingress, port=HTTPS_PORT, secure=True, name=host)
    return ingress


def _outside(service: Mapping[str, Any]) -> Address | None:
    """Return the address that a load balancer gave a Service, or one that its owner did."""
    given = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    hosts = [str(one.get("ip") or one.get("hostname") or "") for one in given]
    hosts += [str(host) for host in service.get("spec", {}).get("externalIPs") or []]
    host = next(filter(None, hosts), None)
    return None if host is None else Address(host=host, port=HTTP_PORT)
