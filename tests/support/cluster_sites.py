"""Namespaces of the test cluster as sites, each on one of its nodes, with a store of objects that all can reach."""

import base64
from pathlib import Path

import certifi

import skerry
from skerry.app.clusters import ClusterPlace, open_cluster
from skerry.app.deploying import DeployPlan, deploy_app
from skerry.app.target import Target
from support.knative_stand_in.stand_in import MACHINE
from support.machine_image import add_machine, machine_container
from support.s3_server import S3Server

SECRET = "objects"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "the-test-key", "AWS_SECRET_ACCESS_KEY": "do-not-show-this"}


class SharedObjects:
    """A server that speaks S3, as this machine and the pods reach it."""

    def __init__(self):
        self.server = S3Server(MACHINE)

    def url(self):
        """Return the address of a store of one's own."""
        return f"s3://{self.server.new_bucket()}/inputs?endpoint={self.server.endpoint}&allow_http=true"


def run_from(app, *, node=None):
    """Return what lets the pods of an app's services run its file with this machine's Python, perhaps on one node."""

    def complete(spec):
        container = spec["containers"][0]
        for key, members in (("volumes", spec), ("volumeMounts", container)):
            members[key] = [one for one in members.get(key, ()) if one["name"] != "tmp"]  # `add_machine` brings it
        ours = machine_container(container["image"], ["python", *container["command"][1:]])
        container["command"], container["workingDir"] = ours["command"], str(app.parent)
        container["securityContext"] = ours["securityContext"]  # with the user, whom an image of ours names itself
        authorities = {"name": "SSL_CERT_FILE", "value": certifi.where()}  # a client of S3 wants some, even for HTTP
        container["env"] = [*container["env"], *ours["env"], authorities]
        if node is not None:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        return add_machine(spec)

    return complete


def run_module(target):
    """Return what lets the pods of an app's services run a module with this machine's Python.

    Args:
        target: The app, ``package.module:app``.
    """
    complete = run_from(Path(__file__))

    def complete_module(spec):
        container = complete(spec)["containers"][0]
        container["args"] = [target, *container["args"][1:]]
        return spec

    return complete_module


def add_credentials(api, namespace):
    """Make the Secret with which pods get at the store."""
    credentials = {key: base64.b64encode(value.encode()).decode() for key, value in CREDENTIALS.items()}
    api.create("secrets", namespace, {"metadata": {"name": SECRET}, "data": credentials})


def deploy_at(knative, image, app, folder, *, objects, node, name):
    """Deploy an app on a namespace, with its pods on one node; return the platform that this site is.

    Args:
        knative: Knative in the namespace, with `run_from` the app's file; `add_credentials` has seen the namespace.
        image: What `push_machine_image` returned.
        app: The app's file.
        folder: For a copy of it with its settings.
        objects: Address of the store.
        node: The node's name.
        name: The site's name.
    """
    source = Path(folder) / name / app.name
    source.parent.mkdir(parents=True)
    source.write_text(app.read_text())
    settings = f'[platform.knative]\nobjects = "{objects}"\nobjects_secret = "{SECRET}"\ncpu_request_ratio = 0.05\n'
    (source.parent / "skerry.toml").write_text(settings)
    kubeconfig = knative.cluster.kubeconfig
    site = skerry.Site(
        name=name, platform="knative", kubeconfig=kubeconfig, namespace=knative.namespace, address=knative.ingress
    )
    place = ClusterPlace.of_site(site)
    platform = open_cluster(place)
    plan = DeployPlan(target=Target.parse(str(source)), place=place, image=image, flags=_on(node, source))
    try:
        deploy_app(plan, platform)
    except BaseException:
        platform.close()
        raise
    return platform


def _on(node, source):
    functions = [line.split("(")[0][4:] for line in source.read_text().splitlines() if line.startswith("def ")]
    return [f"{function}.node_labels={{'kubernetes.io/hostname'='{node}'}}" for function in functions]
