"""An image that holds nothing, and containers of it that see this machine's own Python, read-only.

The nodes of the test cluster share the machine's files. A pod of this kind starts as fast as a pod can, runs the very
code that is being tested, and is a container like others: its own processes, network, users and limits. It does not
show is an image made by ``skerry build``; the tests of that have their own.
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import skerry

FOLDERS = ("dev", "etc", "proc", "sys", "tmp", "usr", "root", "work")
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TESTS = Path(__file__).resolve().parents[1]
NOBODY = 65532
SECURITY = {
    "runAsUser": NOBODY,
    "runAsGroup": NOBODY,
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def push_machine_image(registry, name="skerry-test/machine", tag="1"):
    """Push the image to a registry, plainly; return its reference."""
    layer = _layer()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": f"{NOBODY}:{NOBODY}"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
    }
    config = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": _digest(layer), "size": len(layer)}],
    }
    for blob in (layer, config):
        _push_blob(registry, name, blob)
    _send(registry, "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
    return f"{registry}/{name}:{tag}"


def machine_container(image, command, *, environment=None):
    """Return a container that runs a command with this machine's Python, once `add_machine` lets it see that.

    Args:
        image: What `push_machine_image` returned.
        command: The program and its arguments; ``python`` stands for the interpreter of the tests.
        environment: Variables.
    """
    variables = {"PYTHONPATH": str(Path(skerry.__file__).parents[1]), "HOME": "/tmp", **(environment or {})}
    return {
        "name": "main",
        "image": image,
        "command": [sys.executable if part == "python" else str(part) for part in command],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "securityContext": SECURITY,
        "resources": {"requests": {"cpu": "500m"}},  # what asks for nothing gets next to nothing on a busy machine
    }


def add_machine(spec, folders=None):
    """Let the first container of a pod's specification see this machine's Python; return the specification.

    Knative keeps no volume of a node's folder in a service: there the stand-in adds them to the pods that it makes.

    Args:
        spec: Of the pod.
        folders: Folders of the machine, by the place where the pod may write into them.
    """
    seen = {str(path): (path, True) for path in _roots()}
    seen |= {str(place): (path, False) for place, path in (folders or {}).items()}
    container = spec["containers"][0]
    volumes, mounts = spec.setdefault("volumes", []), container.setdefault("volumeMounts", [])
    volumes.append({"name": "tmp", "emptyDir": {}})
    mounts.append({"name": "tmp", "mountPath": "/tmp"})
    for number, (place, (path, is_read_only)) in enumerate(seen.items()):
        volumes.append({"name": f"machine-{number}", "hostPath": {"path": str(path), "type": "Directory"}})
        mounts.append({"name": f"machine-{number}", "mountPath": place, "readOnly": is_read_only})
    return spec


def _roots():
    """Return the folders that hold the interpreter, its packages, Skerry and the tests, none inside another."""
    wanted = {Path("/usr"), Path(sys.prefix), Path(sys.base_prefix), Path(skerry.__file__).parents[1], TESTS}
    wanted |= {Path(os.path.realpath(sys.executable)).parents[1]}
    return sorted(path for path in wanted if not any(other in path.parents for other in wanted))


def _layer():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        for name in FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(entry)
        for name, target in LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            layer.addfile(entry)
    return gzip.compress(packed.getvalue(), mtime=0)


def _digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _push_blob(registry, name, blob):
    status, _ = _send(registry, "HEAD", f"/v2/{name}/blobs/{_digest(blob)}", allowed=(200, 404))
    if status == 404:
        _, where = _send(registry, "POST", f"/v2/{name}/blobs/uploads/", b"")
        where = where.removeprefix(f"http://{registry}")
        where += ("&" if "?" in where else "?") + f"digest={_digest(blob)}"
        _send(registry, "PUT", where, blob, "application/octet-stream")


def _send(registry, method, path, body=None, kind=None, *, allowed=(200, 201, 202)):
    connection = http.client.HTTPConnection(registry, timeout=30)
    try:
        connection.request(method, path, body, {"content-type": kind} if kind else {})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status not in allowed:
        raise AssertionError(f"{method} {path}: {answer.status} {said!r}")
    return answer.status, answer.headers.get("location")
