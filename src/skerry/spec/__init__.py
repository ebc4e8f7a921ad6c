"""Words: what a function is called, may use and how it scales; frozen, checked once, no I/O beyond reading its file."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.spec.batch import Batch
    from skerry.spec.cluster import ClusterSettings, PlatformTable
    from skerry.spec.filter import Filter
    from skerry.spec.function import FunctionSpec, function_spec
    from skerry.spec.layers import (
        check_platform,
        parse_settings,
        read_project_file,
        refuse_unsupported,
        resolve,
    )
    from skerry.spec.limits import PlatformLimits
    from skerry.spec.model import DEFAULT_ALIAS, ModelReference
    from skerry.spec.names import PROJECT_FILE, SET_VARIABLE
    from skerry.spec.option import CLUSTERS, ENGINE, KNATIVE, KUBERNETES, PLATFORMS, RUNTIME, fates, support_matrix
    from skerry.spec.quantity import parse_duration, parse_size
    from skerry.spec.retry import Retry
    from skerry.spec.scale import Scale
    from skerry.spec.site import Site, parse_endpoint
    from skerry.spec.source import FileSource, MqttSource, NatsSource, Source, check_source_name, source_of
    from skerry.spec.state import STATE_PASSWORD_VARIABLE, STATE_VARIABLE, check_state_url, has_password, is_shared
    from skerry.spec.toleration import Toleration
    from skerry.spec.trigger import Timer, Trigger
    from skerry.spec.volume import Volume
else:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.spec.batch": ("Batch",),
            "skerry.spec.cluster": (
                "ClusterSettings",
                "PlatformTable",
            ),
            "skerry.spec.filter": ("Filter",),
            "skerry.spec.function": (
                "FunctionSpec",
                "function_spec",
            ),
            "skerry.spec.layers": (
                "check_platform",
                "parse_settings",
                "read_project_file",
                "refuse_unsupported",
                "resolve",
            ),
            "skerry.spec.limits": ("PlatformLimits",),
            "skerry.spec.model": (
                "DEFAULT_ALIAS",
                "ModelReference",
            ),
            "skerry.spec.names": (
                "PROJECT_FILE",
                "SET_VARIABLE",
            ),
            "skerry.spec.option": (
                "CLUSTERS",
                "ENGINE",
                "KNATIVE",
                "KUBERNETES",
                "PLATFORMS",
                "RUNTIME",
                "fates",
                "support_matrix",
            ),
            "skerry.spec.quantity": (
                "parse_duration",
                "parse_size",
            ),
            "skerry.spec.retry": ("Retry",),
            "skerry.spec.scale": ("Scale",),
            "skerry.spec.site": (
                "Site",
                "parse_endpoint",
            ),
            "skerry.spec.source": (
                "FileSource",
                "MqttSource",
                "NatsSource",
                "Source",
                "check_source_name",
                "source_of",
            ),
            "skerry.spec.state": (
                "STATE_PASSWORD_VARIABLE",
                "STATE_VARIABLE",
                "check_state_url",
                "has_password",
                "is_shared",
            ),
            "skerry.spec.toleration": ("Toleration",),
            "skerry.spec.trigger": (
                "Timer",
                "Trigger",
            ),
            "skerry.spec.volume": ("Volume",),
        },
    )

__all__ = [
    "CLUSTERS",
    "DEFAULT_ALIAS",
    "ENGINE",
    "KNATIVE",
    "KUBERNETES",
    "PLATFORMS",
    "PROJECT_FILE",
    "RUNTIME",
    "SET_VARIABLE",
    "STATE_PASSWORD_VARIABLE",
    "STATE_VARIABLE",
    "Batch",
    "ClusterSettings",
    "FileSource",
    "Filter",
    "FunctionSpec",
    "ModelReference",
    "MqttSource",
    "NatsSource",
    "PlatformLimits",
    "PlatformTable",
    "Retry",
    "Scale",
    "Site",
    "Source",
    "Timer",
    "Toleration",
    "Trigger",
    "Volume",
    "check_platform",
    "check_source_name",
    "check_state_url",
    "fates",
    "function_spec",
    "has_password",
    "is_shared",
    "parse_duration",
    "parse_endpoint",
    "parse_settings",
    "parse_size",
    "read_project_file",
    "refuse_unsupported",
    "resolve",
    "source_of",
    "support_matrix",
]
