"""Names, labels and annotations of Knative Serving."""

GROUP = "serving.knative.dev"
API_VERSION = f"{GROUP}/v1"
CONFIGURATION = f"{GROUP}/configuration"
CONFIGURATION_UID = f"{GROUP}/configurationUID"
GENERATION = f"{GROUP}/configurationGeneration"
SERVICE = f"{GROUP}/service"
SERVICE_UID = f"{GROUP}/serviceUID"
REVISION = f"{GROUP}/revision"
REVISION_UID = f"{GROUP}/revisionUID"
ROUTING_STATE = f"{GROUP}/routingState"
ROUTES = f"{GROUP}/routes"
ROUTE = f"{GROUP}/route"
PROGRESS_DEADLINE = f"{GROUP}/progress-deadline"
VISIBILITY = "networking.knative.dev/visibility"

AUTOSCALING = "autoscaling.knative.dev"
INITIAL_SCALE = f"{AUTOSCALING}/initial-scale"
MIN_SCALE = f"{AUTOSCALING}/min-scale"
MAX_SCALE = f"{AUTOSCALING}/max-scale"
TARGET = f"{AUTOSCALING}/target"
UTILIZATION = f"{AUTOSCALING}/target-utilization-percentage"
WINDOW = f"{AUTOSCALING}/window"
RETENTION = f"{AUTOSCALING}/scale-to-zero-pod-retention-period"

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text):
    """Return a duration as Go writes it, like ``1m30s``, in seconds."""
    total, number, unit = 0.0, "", ""
    for letter in f"{text}0":
        if unit and (letter.isdigit() or letter == "."):
            total += float(number) * UNITS_S[unit]
            number, unit = "", ""
        if letter.isdigit() or letter == ".":
            number += letter
        else:
            unit += letter
    return total


def owned_by(owner, kind):
    """Return the metadata that tell the garbage collector whose an object is."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def annotations(item):
    return item["metadata"].get("annotations") or {}


def labels(item):
    return item["metadata"].get("labels") or {}
