"""An app that is deployed on a cluster by the command line, from source to pods."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from support.command_line import run_command
from support.wheels import pip_settings

ROOT = Path(__file__).resolve().parents[2]
NAME = "digits"
SECRET = "model-store"
DIGITS = """
import numpy as np

import skerry

app = skerry.App("digits", imports=("numpy", "onnxruntime"))


def pixels(rows: list[list[float]]) -> np.ndarray:
    print("classifying", len(rows), "images", flush=True)
    return np.asarray(rows, np.float32)


classify = app.serve(
    "classify", model="digits@production", before=pixels, secrets=("model-store",), scale=skerry.Scale(min=1)
)
"""
PROJECT = """
[app]
requirements = ["numpy", "obstore", "onnxruntime"]

[platform.{platform}]
registry = "{registry}/skerry-test"
base = "this-python"
models = "{models}"
insecure_registry = true
{more}
"""
KINDS = (
    "deployments",
    "horizontalpodautoscalers",
    "services",
    "pods",
    "serviceaccounts",
    "networkpolicies",
    "replicasets",
    "ksvc",
    "revisions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the apps of several tests have around them.

    Args:
        cluster: The test cluster.
        models: Address of the store of models, as pods and this machine reach it.
        credentials: The variables that open it.
        images: Where layers of images are kept.
        wheels: Folder with the wheels of what an app requires.
    """

    cluster: object
    models: str
    credentials: dict
    images: Path
    wheels: Path


class OperatedApp:
    """An app in a folder, and the command line that operates it on one namespace.

    Args:
        folder: For its source.
        around: What it has around it.
        namespace: Where to.
        platform: ``knative`` or ``kubernetes``.
        ingress: Address of the ingress; none where a port-forward does.
        source: Of the app.
    """

    name = NAME

    def __init__(self, folder, around, namespace, platform, *, ingress=None, source=DIGITS):
        self.folder, self.around, self.namespace, self.platform = Path(folder), around, namespace, platform
        self.cluster, self.ingress = around.cluster, ingress
        self.where = ["--platform", platform, "--namespace", namespace]
        self.where += ["--ingress", ingress] if ingress else []
        more = 'autoscaling = "v2beta2"' if platform == "kubernetes" and not self.cluster.is_real else ""
        (self.folder / "app.py").write_text(source)
        (self.folder / "skerry.toml").write_text(
            PROJECT.format(platform=platform, registry=self.cluster.registry, models=around.models, more=more)
        )

    def run(self, *words, code=0):
        """Run a command on the namespace and return what it printed; assert its exit code."""
        return self.run_here(*words, *self.where, code=code)

    def run_here(self, *words, code=0):
        """Run a command that needs no cluster, likewise."""
        environment = {
            **os.environ,
            **pip_settings(self.around.wheels),
            **self.around.credentials,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "SKERRY_HOME": str(self.folder / "home"),
            "SKERRY_IMAGE_CACHE": str(self.around.images),
            "PYTHONPATH": f"{ROOT / 'src'}",
            "NO_PROXY": "*",
        }
        ended = run_command(words, folder=self.folder, environment=environment)
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout if code == 0 else ended.stderr

    def json(self, *words):
        """Run a command and return its data."""
        return json.loads(self.run(*words, "--json"))

    def push_model(self, file):
        """Publish a model that is served from the next deployment on."""
        self.run_here("models", "push", NAME, file, "--alias", "production", "--store", self.around.models)

    def build(self):
        """Build and push the image; return its name."""
        name = f"{self.cluster.registry}/skerry-test/{NAME}"
        built = self.run_here("build", "app.py", "--base", "this-python", "--push", name, "--insecure-registry")
        return built.splitlines()[-1]

    def deploy(self, *words):
        """Deploy the source as it is."""
        return self.json("deploy", "app.py", *words)

    def left(self):
        """Return what the namespace holds that the app has brought."""
        return [
            f"{kind} {one['metadata']['name']}"
            for kind in KINDS
            for one in self.cluster.api.list(kind, self.namespace)
            if one["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == self.name
        ]
