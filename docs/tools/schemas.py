"""Makes the schemas by which rendered objects are validated offline, out of two published packages.

Run from time to time, by hand, in a folder of its own:

    npm pack @kubernetes-models/knative@2.3.1 && tar xzf kubernetes-models-knative-2.3.1.tgz
    pip download --no-deps kubernetes-validate && unzip kubernetes_validate-*.whl
    python -m tools.schemas package kubernetes_validate/kubernetes-json-schema

(from ``docs``, with the two folders' paths). The last release of the npm package with schemas in it is 2.3.1: later
ones hold compiled validators. What is dropped: descriptions, status, "or null", and all kinds that Skerry does not
make. What is added: names and labels as the API server wants them, and the core's definitions where Knative's schemas
say only that there is an object.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "src/skerry/platforms/kubernetes/validation/schemas.json"
NEWEST, WITH_V2BETA2 = "v1.37.0-local-strict", "v1.25.0-local-strict"
CORE = {
    "v1/ServiceAccount": (NEWEST, "serviceaccount-v1"),
    "v1/Service": (NEWEST, "service-v1"),
    "apps/v1/Deployment": (NEWEST, "deployment-apps-v1"),
    "networking.k8s.io/v1/NetworkPolicy": (NEWEST, "networkpolicy-networking-v1"),
    "autoscaling/v2/HorizontalPodAutoscaler": (NEWEST, "horizontalpodautoscaler-autoscaling-v2"),
    "autoscaling/v2beta2/HorizontalPodAutoscaler": (WITH_V2BETA2, "horizontalpodautoscaler-autoscaling-v2beta2"),
}
KNATIVE = {
    "serving.knative.dev/v1/Service": "serving.knative.dev/v1/Service.js",
    "eventing.knative.dev/v1/Trigger": "eventing.knative.dev/v1/Trigger.js",
    "sources.knative.dev/v1/PingSource": "sources.knative.dev/v1/PingSource.js",
}
# Knative's schemas leave these open.
LABEL = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
LABELS = {"type": "object", "additionalProperties": {"type": "string", "pattern": LABEL}}
AMOUNTS = {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9]+(m|[KMGT]i?)?$"}}
CORE_V1 = "#/$defs/io.k8s.api.core.v1"
OPEN = {
    "affinity": {"$ref": f"{CORE_V1}.Affinity"},
    "emptyDir": {"$ref": f"{CORE_V1}.EmptyDirVolumeSource"},
    "persistentVolumeClaim": {"$ref": f"{CORE_V1}.PersistentVolumeClaimVolumeSource"},
    "tolerations": {"type": "array", "items": {"$ref": f"{CORE_V1}.Toleration"}},
    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    "labels": LABELS,
    "limits": AMOUNTS,
    "requests": AMOUNTS,
}
# The filters of a Trigger came after the last release with schemas in it.
DIALECT = "skerry.eventing.Dialect"
IN_DIALECT = {"$ref": f"#/$defs/{DIALECT}"}
FILTERS = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        **{
            kind: {"type": "object", "additionalProperties": {"type": "string"}}
            for kind in ("exact", "prefix", "suffix")
        },
        **{kind: {"type": "array", "items": IN_DIALECT} for kind in ("all", "any")},
        "not": IN_DIALECT,
    },
}
NAME = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DROPPED = {"description", "$schema", "$id", "default", "format", "nullable"}


def main(knative: Path, core: Path) -> None:
    """Write the schemas.

    Args:
        knative: The unpacked npm package.
        core: The folder of Kubernetes' schemas.
    """
    kinds: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for kind, (version, file) in CORE.items():
        known = json.loads((core / version / "_definitions.json").read_text())["$defs"]
        kinds[kind] = _plain(json.loads((core / version / f"{file}.json").read_text()))
        _collect(kinds[kind], known, definitions)
    known = json.loads((core / NEWEST / "_definitions.json").read_text())["$defs"]
    for kind, file in KNATIVE.items():
        text = (knative / file).read_text()
        start = text.index("const schema = ") + len("const schema = ")
        kinds[kind] = _closed(_plain(json.JSONDecoder().raw_decode(text[start:])[0]))
        _collect(kinds[kind], known, definitions)
    definitions[DIALECT] = FILTERS
    trigger = kinds["eventing.knative.dev/v1/Trigger"]["properties"]["spec"]["properties"]
    trigger["filters"] = {"type": "array", "items": IN_DIALECT}
    for schema in kinds.values():
        schema["properties"].pop("status", None)
        schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    definitions[META]["properties"]["name"] = {"type": "string", "pattern": NAME}
    definitions[META]["properties"]["labels"] = LABELS
    made = {"kinds": kinds, "$defs": {name: definitions[name] for name in sorted(definitions)}}
    TARGET.write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n")


def _plain(schema: Any) -> Any:
    """Return a schema without words, and without null."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _plain(item) for name, item in value.items()}
        elif key == "oneOf" and {"type": "null"} in value:
            return _plain(next(item for item in value if item != {"type": "null"}))
        elif key == "type" and isinstance(value, list):
            kept = [kind for kind in value if kind != "null"]
            found[key] = kept[0] if len(kept) == 1 else kept
        elif key == "$ref":
            found[key] = f"#/$defs/{re.sub(r'^.*/', '', value).removesuffix('#')}"
        elif key not in DROPPED and not key.startswith("x-"):
            found[key] = _plain(value)
    return found


def _closed(schema: Any) -> Any:
    """Return a schema of Knative's with unknown fields refused, and the core's definitions where it is open."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    properties = found.get("properties")
    if properties and "type" in found:
        found["additionalProperties"] = False
        for name, wanted in OPEN.items():
            if name in properties and not properties[name].get("properties"):
                properties[name] = wanted
    return found


def _collect(schema: Any, known: dict[str, Any], found: dict[str, Any]) -> None:
    """Add the definitions that a schema refers to, and those that they refer to."""
    if isinstance(schema, list):
        for item in schema:
            _collect(item, known, found)
    elif isinstance(schema, dict):
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        if name and name not in found:
            found[name] = _plain(known[name])
            found[name].get("properties", {}).pop("managedFields", None)
            _collect(found[name], known, found)
        for value in schema.values():
            _collect(value, known, found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
