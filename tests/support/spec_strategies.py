"""Apps with any options that a cluster platform honours, for hypothesis."""

import functools
import string

from hypothesis import strategies as st

from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender
from skerry.spec import Batch, FunctionSpec, Scale, support_matrix

LETTERS = string.ascii_lowercase
# As long as every platform takes them.
NAMES = st.from_regex(r"[a-z]([a-z0-9_-]{0,51}[a-z0-9])?", fullmatch=True)
OBJECT_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", fullmatch=True)
LABEL_KEYS = st.from_regex(r"([a-z]{1,9}\.[a-z]{2,5}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)
LABEL_VALUES = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?)?", fullmatch=True)
VARIABLES = st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True).map("V_{}".format)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
# Texts that some reader of YAML takes for something else.
AWKWARD = st.sampled_from(
    ["", "1e3", "on", "NO", "null", "~", "0x1F", "1_000", "- a", "a: b", "#", "\u2028", " x ", "=", "\n"]
)


def seconds(low, high):
    return st.integers(low, high).map("{}s".format)


def sizes(high_mib):
    return st.integers(1, high_mib).map("{}MiB".format)


def tolerations():
    effects = st.sampled_from(["", ":NoSchedule", ":PreferNoSchedule", ":NoExecute"])
    values = st.none() | LABEL_VALUES
    parts = st.tuples(LABEL_KEYS, values, effects)
    return parts.map(lambda p: f"{p[0]}{'' if p[1] is None else '=' + p[1]}{p[2]}")


def scales(platform):
    options = st.fixed_dictionaries(
        {
            "min": st.integers(0, 5),
            "max": st.sampled_from([None, 1, 7]),
            "initial": st.integers(0, 9 if platform == "knative" else 1),
            "activation": st.integers(1, 9),
            "metric": st.sampled_from(["concurrency", "rps"]),
            "target": st.none() | st.floats(0.01, 1e4),
            "utilization": st.floats(0.001, 1),
            "window": st.integers(6, 1800),
            "panic_window": st.booleans(),
            "panic_threshold": st.floats(1.1, 10),
            "burst": st.integers(-1, 5000),
            "up_rate": st.floats(1.01, 5000),
            "down_rate": st.floats(1.01, 50),
            "delay": seconds(0, 1800),
            "grace": seconds(0, 3600),
        }
    )
    honoured = support_matrix(Scale)

    def scale(found):
        window, above = found["window"], found["max"]
        found = {
            **found,
            "max": 0 if above is None else found["min"] + above,
            "window": f"{window}s",
            "panic_window": f"{window / 4:g}s" if found["panic_window"] else None,
        }
        return Scale(**{key: value for key, value in found.items() if platform in honoured[key]})

    return options.map(scale)


def batches():
    return st.builds(
        Batch,
        max_size=st.integers(1, 4096),
        objective=st.integers(1, 5000).map("{}ms".format),
        max_weight=st.none() | st.floats(0.1, 1e6),
        weight=st.sampled_from(["items", "bytes"]),
    )


def specs(platform):
    """Return specs of which every option has any value that the platform takes."""
    return st.builds(
        FunctionSpec,
        name=NAMES,
        memory=st.none() | sizes(64_000),
        cpu=st.floats(0.01, 128),
        timeout=seconds(1, 600),
        start_timeout=seconds(1, 3600),
        drain=seconds(1, 600),
        concurrency=st.integers(1, 10_000),
        queue=st.integers(0, 1_000_000),
        max_body=sizes(2048),
        files=st.integers(16, 1_048_576),
        idempotent=st.booleans(),
        env=st.dictionaries(VARIABLES, TEXTS | AWKWARD, max_size=4),
        batch=st.none() | batches(),
        scale=scales(platform),
        model=st.none() | st.just("digits@3"),
        share_load=st.booleans(),
        secrets=st.lists(OBJECT_NAMES, max_size=3, unique=True).map(tuple),
        gpu=st.integers(0, 8),
        tier=st.sampled_from([None, "device", "edge", "cloud"]),
        node_labels=st.dictionaries(LABEL_KEYS, LABEL_VALUES, max_size=3),
        tolerations=st.lists(tolerations(), max_size=3).map(tuple),
        runtime_class=st.none() | OBJECT_NAMES,
        volumes=st.dictionaries(
            OBJECT_NAMES.map("/data/{}".format),
            st.tuples(st.sampled_from(["pvc/", "configmap/", "secret/"]), OBJECT_NAMES).map("".join)
            | OBJECT_NAMES.map("pvc/{}:ro".format),
            max_size=3,
        ),
    )


@functools.cache  # hypothesis looks at each part of a strategy anew when it is made anew
def apps(platform):
    """Return apps of one to three functions."""
    functions = st.lists(
        st.builds(FunctionToRender, spec=specs(platform), takes_items=st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda function: function.spec.name.replace("_", "-"),
    )
    return st.builds(
        AppToRender,
        name=st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
        image=st.just("10.0.0.5:5000/app@sha256:" + "0" * 64),
        target=st.just("app.py:app"),
        functions=functions.map(tuple),
    )
