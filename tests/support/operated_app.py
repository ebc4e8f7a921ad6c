"""An app that is deployed on a cluster by the command line, from source to pods."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
import os
import time

import skerry

app = skerry.App("{app}")


@app.function(idempotent=True, scale=skerry.Scale(min=1, max=2))
def slow_double(number: int) -> int:
    print("doubling", number, flush=True)
    time.sleep(0.2)
    return 2 * number


@app.function(secrets=("greeting",), scale=skerry.Scale(min=1))
def greet(name: str) -> str:
    print("greeting", name, flush=True)
    return "{words} " + name + " from " + os.environ["K_REVISION"]
"""
PROJECT = """
[platform.{platform}]
registry = "{registry}/{namespace}"
base = "this-python"
insecure_registry = true
"""
COMMAND = [sys.executable, "-c", "import sys; from skerry.cli.main import main; sys.exit(main())"]


class OperatedApp:
    """An app in a folder, and the command line that operates it on one namespace.

    Args:
        folder: For its source.
        cluster: The test cluster.
        namespace: Where to.
        platform: ``knative`` or ``kubernetes``.
        ingress: Address of the ingress; none where a port-forward does.
    """

    name = "operated"

    def __init__(self, folder, cluster, namespace, platform, ingress=None):
        self.folder, self.cluster, self.namespace = Path(folder), cluster, namespace
        self.where = ["--platform", platform, "--namespace", namespace]
        self.where += ["--ingress", ingress] if ingress else []
        project = PROJECT.format(platform=platform, registry=cluster.registry, namespace=namespace)
        (self.folder / "skerry.toml").write_text(project)

    def write(self, words):
        """Write the source, with what `greet` says."""
        (self.folder / "app.py").write_text(SOURCE.format(app=self.name, words=words))

    def run(self, *words, code=0):
        """Run a command and return what it printed; assert its exit code."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "SKERRY_HOME": str(self.folder / "home"),
            "PYTHONPATH": f"{ROOT / 'src'}",
            "NO_PROXY": "*",
        }
        ended = subprocess.run(
            [*COMMAND, *map(str, words), *self.where],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout if code == 0 else ended.stderr

    def json(self, *words):
        """Run a command and return its data."""
        return json.loads(self.run(*words, "--json"))

    def deploy(self, *words):
        """Deploy the source as it is."""
        return self.json("deploy", "app.py", *words)

    def left(self):
        """Return what the namespace holds that the app has brought."""
        found = []
        for kind in (
            "deployments",
            "services",
            "pods",
            "serviceaccounts",
            "networkpolicies",
            "replicasets",
            "ksvc",
            "revisions",
        ):
            for one in self.cluster.api.list(kind, self.namespace):
                if one["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == self.name:
                    found.append(f"{kind} {one['metadata']['name']}")
        return found
