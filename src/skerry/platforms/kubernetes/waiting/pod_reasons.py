"""Why a pod is not ready, from its status, its events and its last words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from skerry.platforms.kubernetes.api.objects import Reference

Cause = Literal[
    "starting", "pulling", "image", "image_access", "registry", "architecture", "crash", "memory", "unschedulable",
    "quota", "missing", "account", "probe", "load", "node", "config", "refused", "controller", "ingress", "revision",
]  # fmt: skip

LAST_LINES: Final = 10
LASTING_LOADS: Final = 3  # failed ones: what a first one has missed, such as a database, may be there for the next
_SECONDS: Final = len("2026-01-01T00:00:00")  # of a time; some have a fraction behind that
_IMAGE_WAITS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_START_WAITS: Final = frozenset({"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"})
_ABSENT: Final = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found', re.IGNORECASE)
_NO_KEY: Final = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<name>\S+)")
_BAD_FORMAT: Final = re.compile(r"exec format error|no match for platform|no matching manifest", re.IGNORECASE)
_NO_ACCESS: Final = re.compile(
    r"unauthorized|authentication required|access denied|denied:|403 Forbidden|401 Unauthorized|insufficient_scope",
    re.IGNORECASE,
)
_NO_IMAGE: Final = re.compile(r"not found|manifest unknown|MANIFEST_UNKNOWN|NAME_UNKNOWN|404", re.IGNORECASE)
_NO_REGISTRY: Final = re.compile(
    r"connection refused|no such host|i/o timeout|network is unreachable|no route to host|HTTP response to HTTPS|"
    r"x509|TLS handshake",
    re.IGNORECASE,
)
_LOAD_FAILED: Final = re.compile(r"the worker died while it started|^Traceback \(most recent", re.MULTILINE)
_LOST_AT_START: Final = re.compile(r"worker_lost .*(?:cannot start: |the worker died while it started)")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not ready.

    Args:
        reference: What is not ready.
        cause: One word for programs.
        text: What is the matter.
        step: What to do about it; empty when the text says it, or there is nothing to do but wait.
        lasting: Whether it will stay so until somebody does something.
        words: The last lines of its log, where they say more.
    """

    reference: Reference
    cause: Cause
    text: str
    step: str
    lasting: bool = False
    words: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What is the matter, in one line: what to do about it comes when it is an error."""
        return f"{self.reference}: {self.text}"

    def __str__(self) -> str:
        said = "".join(f"\n    {line}" for line in self.words)
        return self.line + (f"; {self.step}" if self.step else "") + (f"; its last lines were:{said}" if said else "")


def explain_pod(
    reference: Reference, pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]], log: str = ""
) -> Reason | None:
    """Return why a pod is not ready; None when it is, or is on its way out.

    Args:
        reference: Whose pod it is.
        pod: The pod.
        events: The events about it, the oldest first.
        log: The last lines that its container wrote, before it ended or while it runs.
    """
    status, metadata = pod.get("status") or {}, pod["metadata"]
    if metadata.get("deletionTimestamp") or status.get("phase") == "Succeeded":
        return None
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _unschedulable(reference, str(scheduled.get("message", "")), events)
    if lost := _lost_node(reference, pod, events):
        return lost
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if reason := _explain_container(reference, container, events, log):
            return reason
    return _explain_start(reference, pod, events, log)


def is_image_trouble(text: str) -> bool:
    """Whether a message is about an image that cannot be had."""
    return any(pattern.search(text) for pattern in (_BAD_FORMAT, _NO_ACCESS, _NO_IMAGE, _NO_REGISTRY))


def image_reason(reference: Reference, image: str, text: str) -> Reason:
    """Return what a failed pull means.

    Args:
        reference: What needs the image.
        image: The image's name.
        text: What the puller said.
    """
    if _BAD_FORMAT.search(text):
        return _architecture(reference, image)
    if _NO_ACCESS.search(text):
        step = "name a registry secret (registry_secret in skerry.toml), and see that it may pull this image"
        return Reason(
            reference, "image_access", f"the cluster may not pull {image}, or it does not exist", step, lasting=True
        )
    if _NO_REGISTRY.search(text):
        step = "see that the nodes reach it, trust its certificate, and know it as plain HTTP when it is"
        return Reason(
            reference, "registry", f"the nodes cannot pull {image} from its registry: {_last(text)}", step, lasting=True
        )
    if _NO_IMAGE.search(text):
        step = "build and push it (skerry build --push), and look at its name, tag and digest"
        return Reason(reference, "image", f"there is no image {image}", step, lasting=True)
    return Reason(reference, "image", f"the image {image} cannot be pulled: {_last(text)}", "", lasting=True)


def _explain_container(
    reference: Reference, container: Mapping[str, Any], events: Sequence[Mapping[str, Any]], log: str
) -> Reason | None:
    state = container.get("state") or {}
    waiting, image = state.get("waiting") or {}, str(container.get("image", ""))
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _IMAGE_WAITS:
        told = _messages(events, "Failed", "image") or [message]
        # "Back-off pulling image" says nothing; the event before it does.
        best = next((text for text in reversed([*told, message]) if is_image_trouble(text)), message)
        return image_reason(reference, image, best)
    if reason == "CreateContainerConfigError" and "runAsNonRoot" in message:
        step = "build it with skerry build, or have it name a user by number that is not 0 (USER 65532)"
        return Reason(reference, "config", f"the image {image} runs as root or as nobody knows whom", step, True)
    if reason == "CreateContainerConfigError":
        return _missing(reference, message) or Reason(reference, "config", f"it cannot start: {message}", "", True)
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    if reason in _START_WAITS or ended.get("reason") in _START_WAITS:
        return _unstartable(reference, image, message if reason in _START_WAITS else str(ended.get("message", "")))
    if ended and not container.get("ready"):
        return _crashed(reference, container, ended, log, lasting=reason == "CrashLoopBackOff")
    return None


def _unstartable(reference: Reference, image: str, text: str) -> Reason:
    if _BAD_FORMAT.search(text):
        return _architecture(reference, image)
    return Reason(reference, "config", f"its container cannot start: {_last(text)}", "", lasting=True)


def _crashed(
    reference: Reference, container: Mapping[str, Any], ended: Mapping[str, Any], log: str, *, lasting: bool
) -> Reason:
    times = int(container.get("restartCount", 0)) + (0 if "running" in (container.get("state") or {}) else 1)
    if ended.get("reason") == "OOMKilled":
        step = "raise the function's memory option, or load less when it starts"
        text = f"it needed more memory than its limit and was killed ({_times(times)})"
        return Reason(reference, "memory", text, step, lasting=lasting)
    words = log or str(ended.get("message", ""))
    if _BAD_FORMAT.search(words):
        return _architecture(reference, str(container.get("image", "")))
    lines = _last_lines(words)
    code = f"exit code {ended.get('exitCode', '?')}{'' if lines else ' and writes nothing'}"
    text = f"it ends right after its start with {code} ({_times(times)})"
    return Reason(reference, "crash", text, "", lasting=lasting, words=lines)


def _explain_start(
    reference: Reference, pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]], log: str
) -> Reason:
    for text in reversed(_messages(events, "FailedMount", "")):
        if missing := _missing(reference, text):
            return missing
        return Reason(reference, "config", f"a volume cannot be mounted: {_last(text)}", "")
    status = pod.get("status") or {}
    running = [c for c in status.get("containerStatuses") or [] if "running" in (c.get("state") or {})]
    if running:
        return _explain_running(reference, events, log)
    if status.get("phase") == "Failed":
        text = f"its pod failed: {status.get('reason', '')} {status.get('message', '')}".rstrip()
        return Reason(reference, "node", text, "")
    pulling = bool(events) and events[-1].get("reason") == "Pulling"
    text = f"{'pulling the image' if pulling else 'its container is made'} on {_node(pod)}"
    return Reason(reference, "pulling" if pulling else "starting", text, "")


def _explain_running(reference: Reference, events: Sequence[Mapping[str, Any]], log: str) -> Reason:
    loads = len(_LOST_AT_START.findall(log))
    if loads >= LASTING_LOADS:
        text = "it runs, and none of its workers can start"
        return Reason(reference, "load", text, "", lasting=True, words=_last_lines(log))
    probes = [text for text in _messages(events, "Unhealthy", "") if text.startswith(("Readiness", "Startup"))]
    if probes and "connection refused" in probes[-1]:  # as every start does until it has seen the app
        return Reason(reference, "starting", "it runs and loads, and does not listen yet", "")
    if probes:
        platform = "kubernetes" if reference.kind == "Deployment" else "knative"
        step = f"look at its log: skerry logs {reference.name} --platform {platform}"
        if not _LOAD_FAILED.search(log):
            step += "; a long load needs a longer start_timeout"
        text = f"it runs and does not get ready: {_last(probes[-1])}"
        return Reason(reference, "probe", text, step, words=_last_lines(log))
    return Reason(reference, "starting", "it runs and loads", "")


def _unschedulable(reference: Reference, message: str, events: Iterable[Mapping[str, Any]]) -> Reason:
    if _messages(events, "TriggeredScaleUp", "") or _messages(events, "Nominated", ""):  # cluster-autoscaler, Karpenter
        return Reason(reference, "node", "no node has room for it yet, and the cluster adds one", "")
    wants = "ask for less memory, cpu or gpu, mend the tier or labels that it asks for, or add a node"
    return Reason(reference, "unschedulable", f"no node takes it: {message.rstrip('.')}", wants, lasting=True)


def _lost_node(reference: Reference, pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Reason | None:
    status = pod.get("status") or {}
    ready: Mapping[str, Any] = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), {})
    since = str(ready.get("lastTransitionTime") or "")[
        :_SECONDS
    ]  # the node may have been lost and come back before that
    told = [event for event in events if _told_at(event) >= since]
    if status.get("reason") == "NodeLost" or _messages(told, "NodeNotReady", ""):
        return Reason(
            reference, "node", f"{_node(pod)} does not answer; its pods move when the cluster gives it up",
            "see kubectl get nodes",
        )  # fmt: skip
    return None


def _missing(reference: Reference, text: str) -> Reason | None:
    if found := _ABSENT.search(text):
        kind, name = found["kind"].lower(), found["name"]
        where = f" -n {reference.namespace}" if reference.namespace else ""
        step = f"create it: kubectl create {'secret generic' if kind == 'secret' else kind} {name}{where} ..."
        return Reason(reference, "missing", f"there is no {kind} {name} in its namespace", step, lasting=True)
    if found := _NO_KEY.search(text):
        kind, name = found["kind"].lower(), found["name"].rpartition("/")[2]
        return Reason(reference, "missing", f"the {kind} {name} has no key {found['key']}", "add it", lasting=True)
    return None


def _architecture(reference: Reference, image: str) -> Reason:
    step = "build it for the nodes' architecture (kubectl get nodes -L kubernetes.io/arch)"
    return Reason(
        reference, "architecture", f"the image {image} is for another processor than the node's", step, lasting=True
    )


def _messages(events: Iterable[Mapping[str, Any]], reason: str, word: str) -> list[str]:
    return [
        str(event.get("message", ""))
        for event in events
        if event.get("reason") == reason and word in str(event.get("message", ""))
    ]


def _told_at(event: Mapping[str, Any]) -> str:
    """Return when an event was last told, in a form that sorts by time; after everything when nobody says."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or "9999")[:_SECONDS]


def _node(pod: Mapping[str, Any]) -> str:
    name = (pod.get("spec") or {}).get("nodeName")
    return f"node {name}" if name else "its node"


def _times(count: int) -> str:
    return "once so far" if count == 1 else f"{count} times so far"


def _last_lines(log: str) -> tuple[str, ...]:
    return tuple(line for line in log.splitlines() if line.strip())[-LAST_LINES:]


def _last(text: str) -> str:
    for mark in ("failed to do request: ", "desc = "):
        text = text.rpartition(mark)[2]
    return " ".join(text.split())[:400]
