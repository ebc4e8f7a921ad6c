"""Who an app is on the cluster, and who may reach it: as little as it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from skerry.platforms.kubernetes.api.objects import KubernetesObject
from skerry.platforms.kubernetes.rendering.app import AppToRender
from skerry.platforms.kubernetes.rendering.metadata import kubernetes_object, selector
from skerry.spec import ClusterSettings

# Clouds hand out a node's credentials at these addresses to whoever asks from it.
LINK_LOCAL: Final = (("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fe80::/10"))


def shared_objects(app: AppToRender, settings: ClusterSettings, *, ports: Sequence[int]) -> list[KubernetesObject]:
    """Return the objects that an app's functions share.

    Args:
        app: The app.
        settings: Where it is made.
        ports: Ports of its pods that others may reach.
    """
    found = [_account(app, settings)]
    return [*found, _network_policy(app, settings, ports)] if settings.network_policy else found


def _account(app: AppToRender, settings: ClusterSettings) -> KubernetesObject:
    """Return an account without rights and without a token: functions do not talk to the cluster."""
    rest: dict[str, Any] = {"automountServiceAccountToken": False}
    if settings.registry_secret is not None:
        rest["imagePullSecrets"] = [{"name": settings.registry_secret}]
    return kubernetes_object("v1", "ServiceAccount", app=app, settings=settings, **rest)


def _network_policy(app: AppToRender, settings: ClusterSettings, ports: Sequence[int]) -> KubernetesObject:
    """Return a policy: in by the ports that are meant for it; out to pods and to networks, but to no node's metadata.

    Pods are named beside addresses because some networks do not count them among those.
    """
    outside = [{"ipBlock": {"cidr": everything, "except": [local]}} for everything, local in LINK_LOCAL]
    spec = {
        "podSelector": {"matchLabels": selector(app)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": port} for port in ports]}],
        "egress": [{"to": [{"namespaceSelector": {}}, *outside]}],
    }
    return kubernetes_object("networking.k8s.io/v1", "NetworkPolicy", app=app, settings=settings, spec=spec)
