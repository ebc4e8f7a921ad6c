"""How an app is deployed to a cluster: the tables ``[platform.knative]`` and ``[platform.kubernetes]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from skerry.errors import SpecError
from skerry.spec.option import CLUSTERS, ENGINE, KNATIVE, KUBERNETES, build, check_range, check_types
from skerry.spec.quantity import parse_duration, parse_size
from skerry.spec.volume import OBJECT_NAME

LABEL_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# Settings that mean something on one platform alone.
ONLY_ON: Final = {
    "visibility": KNATIVE,
    "broker": KNATIVE,
    "max_timeout": KNATIVE,
    "zero_initial_scale": KNATIVE,
    "max_replicas": KUBERNETES,
    "autoscaling": KUBERNETES,
}


_NAMES = {
    "namespace": LABEL_NAME,
    "registry_secret": OBJECT_NAME,
    "objects_secret": OBJECT_NAME,
    "broker": OBJECT_NAME,
}


def _setting(help_text: str, **options: Any) -> Any:
    return field(metadata={"help": help_text}, **options)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSettings:
    """Where and how the objects of an app are made on a cluster.

    Example:
        ``ClusterSettings(namespace="edge", registry="10.0.0.5:5000", models="s3://bucket/models")``
    """

    namespace: str | None = _setting("namespace of the objects; none means that of the context", default=None)
    context: str | None = _setting("context of the kubeconfig; none means its current one", default=None)
    registry: str | None = _setting("where images are pushed: HOST[:PORT][/PATH]", default=None)
    insecure_registry: bool = _setting(
        "whether registries of other machines are spoken to in plain HTTP, as in a laboratory", default=False
    )
    registry_secret: str | None = _setting("Secret with the registry's credentials, for the nodes", default=None)
    base: str | None = _setting("base image; none means Skerry's choice", default=None)
    visibility: Literal["public", "cluster"] = _setting(
        "whether Knative's ingress serves the functions to the world or to the cluster alone", default="public"
    )
    broker: str = _setting("Knative's broker that triggers take events from", default="default")
    models: str | None = _setting("store of models that containers fetch from, like s3://bucket/models", default=None)
    objects: str | None = _setting(
        "store of objects that brings files and folders of calls to containers, like s3://bucket/inputs", default=None
    )
    objects_secret: str | None = _setting(
        "Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of that store, for every container", default=None
    )
    tmp: str = _setting("size of /tmp, and with it of fetched models and inputs", default="1GiB")
    cpu_request_ratio: float = _setting("share of `cpu` that a container asks its node for", default=0.25)
    gpu_resource: str = _setting("what the cluster calls a graphics processor", default="nvidia.com/gpu")
    max_timeout: str = _setting("`max-revision-timeout-seconds` of the cluster's config-defaults", default="600s")
    zero_initial_scale: bool = _setting(
        "`allow-zero-initial-scale` of the cluster's config-autoscaler: else scale.initial = 0 starts one container",
        default=False,
    )
    max_replicas: int = _setting("most containers of a function with scale.max = 0 (plain Kubernetes)", default=10)
    autoscaling: Literal["v2", "v2beta2"] = _setting(
        "version of the API of autoscaling where it cannot be asked; v2beta2 for Kubernetes before 1.23", default="v2"
    )
    seccomp: bool = _setting(
        "whether containers name the runtime's seccomp profile, as namespaces of the standard `restricted` demand",
        default=False,
    )
    network_policy: bool = _setting("whether NetworkPolicies are made", default=True)

    tmp_bytes: int = field(init=False)
    max_timeout_s: float = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        check_store(self.objects, key="objects")
        for key, pattern in _NAMES.items():
            value = getattr(self, key)
            if value is not None and not pattern.fullmatch(value):
                raise SpecError(f"{key} = {value!r}: use lower-case letters, digits and -", field=key)
        object.__setattr__(self, "tmp_bytes", parse_size(self.tmp, key="tmp"))
        check_range("tmp (bytes)", self.tmp_bytes, low=2**20)
        object.__setattr__(self, "max_timeout_s", parse_duration(self.max_timeout, key="max_timeout"))
        check_range("max_timeout (seconds)", self.max_timeout_s, low=1, high=86_400)
        check_range("cpu_request_ratio", self.cpu_request_ratio, low=0.01, high=1)
        check_range("max_replicas", self.max_replicas, low=1, high=10_000)


def check_store(address: object, *, key: str) -> None:
    """Refuse an address of a store of objects that pods could not reach, or that holds a secret.

    Raises:
        SpecError: it is one.
    """
    if address is None or (isinstance(address, str) and address.startswith("s3://") and "@" not in address):
        return
    # Not shown: what stands before an @ is a secret more often than not.
    raise SpecError(f"{key}: write s3://BUCKET/PATH, and the credentials in a Secret", field=key)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformTable:
    """What a ``skerry.toml`` says for one platform.

    Args:
        settings: Where and how objects are made; only for clusters.
        functions: Options that functions have there, by function name.
    """

    settings: ClusterSettings = field(default_factory=ClusterSettings)
    functions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_platforms(table: Any, *, where: str) -> dict[str, PlatformTable]:
    """Return what the ``[platform]`` tables of a ``skerry.toml`` say, by platform.

    Args:
        table: What TOML holds under ``platform``.
        where: Where the table comes from, for the message.

    Raises:
        SpecError: a platform or a key is unknown, or a value is not of its form.
    """
    known = (ENGINE, *CLUSTERS)
    if not isinstance(table, Mapping) or not all(isinstance(values, Mapping) for values in table.values()):
        raise SpecError(f"{where}: write settings of a platform as [platform.NAME]", field="platform")
    found = {}
    for name, values in table.items():
        place = f"{where}: [platform.{name}]"
        if name not in known:
            raise SpecError(f"{place}: no such platform; there are: {', '.join(known)}", field=name)
        functions = values.get("function", {})
        if not isinstance(functions, Mapping) or not all(isinstance(each, Mapping) for each in functions.values()):
            raise SpecError(f"{place}: write options as [platform.{name}.function.NAME]", field="function")
        given = {key: value for key, value in values.items() if key != "function"}
        if name == ENGINE and given:
            raise SpecError(f"{place}: has options of functions only, not {', '.join(given)}", field=next(iter(given)))
        settings = build(ClusterSettings, given, where=place)
        for key in given:
            if ONLY_ON.get(key, name) != name:
                raise SpecError(f"{place}: {key} means something on {ONLY_ON[key]} only", field=key)
        found[name] = PlatformTable(settings=settings, functions=functions)
    return found
