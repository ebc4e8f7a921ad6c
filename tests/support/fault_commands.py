"""An app with one function, and the command line that is to fail with it."""

import os
import sys
from pathlib import Path

from support.command_line import run_command
from support.engine_process import wait_until

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
import skerry

app = skerry.App("{name}")


@app.function({options})
def {name}(number: int) -> int:
    return 2 * number
"""


class FaultyApp:
    """An app in a folder, whose one function has its name.

    Args:
        folder: For its source.
        cluster: The test cluster.
        namespace: Where to.
        platform: ``knative`` or ``kubernetes``.
        name: Of the app and of its function.
        options: What its decorator is called with.
    """

    def __init__(self, folder, cluster, namespace, platform, *, name, options):
        self.folder, self.cluster, self.namespace, self.platform, self.name = folder, cluster, namespace, platform, name
        (folder / "app.py").write_text(SOURCE.format(name=name, options=options))
        more = 'autoscaling = "v2beta2"\n' if not cluster.is_real else ""
        (folder / "skerry.toml").write_text(f"[platform.kubernetes]\n{more}")

    def run(self, *words, kubeconfig=None):
        """Run a command; return how it ended and what it printed."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.cluster.kubeconfig),
            "SKERRY_HOME": str(self.folder / "home"),
            "PYTHONPATH": f"{ROOT / 'src'}",
            "NO_PROXY": "*",
        }
        where = ["--platform", self.platform, "--namespace", self.namespace]
        return run_command([*words, *where], folder=self.folder, environment=environment)

    def apply_service(self, image):
        """Make the function a Knative Service without waiting for pods, and wait until it has an address."""
        labels = {
            "app.kubernetes.io/name": self.name,
            "app.kubernetes.io/part-of": self.name,
            "app.kubernetes.io/managed-by": "skerry",
        }
        container = {"image": image, "command": [sys.executable], "args": ["-m", "http.server", "8080"]}
        body = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        api = self.cluster.api
        api.create("ksvc", self.namespace, body)
        wait_until(
            lambda: api.get("ksvc", self.namespace, self.name).get("status", {}).get("url"),
            within_s=60,
            what="an address of the service",
        )
