"""`skerry doctor --platform` on a real cluster."""

from skerry.cli.main import main
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.doctor.doctor import examine_cluster
from support.cluster_apps import weak_kubeconfig


def by_name(found):
    return {one.name: one for one in found}


def test_what_is_missing_for_knative_is_said_with_how_to_mend_it(cluster, namespace):
    found = by_name(
        examine_cluster("knative", kubeconfig=cluster.kubeconfig, namespace=namespace, registry=cluster.registry)
    )

    assert found["cluster"].state == "ok"
    assert found["rights"].state == "ok"
    assert found["knative types"].finding == "Serving and Eventing"
    assert found["knative controllers"].state == "fail"
    assert "serving-core.yaml" in found["knative controllers"].advice
    assert "Kourier" in found["ingress"].advice
    assert found["nodes"].finding.startswith("2 of 2 ready, amd64")
    assert found["registry"].finding.startswith(f"{cluster.registry} answers and takes uploads, plain HTTP")


def test_missing_rights_are_the_rules_of_a_role(cluster, namespace, tmp_path):
    weak = weak_kubeconfig(Cluster(cluster.kubeconfig, namespace=namespace), tmp_path)

    found = by_name(examine_cluster("kubernetes", kubeconfig=weak))
    assert found["cluster"].finding.endswith(f"by token, context weak of {weak}")
    assert found["rights"].state == "fail"
    assert '- {apiGroups: ["apps"], resources: ["deployments"], verbs: ["get", "list"' in found["rights"].advice
    assert found["nodes"].finding == "you may not look"


def test_the_command_fails_when_something_does(cluster, namespace, capfd):
    where = ("--kubeconfig", str(cluster.kubeconfig), "--namespace", f"{namespace}-not")

    assert main(["doctor", "--platform", "kubernetes", *where]) == 1
    advice = f"there is no namespace {namespace}-not; run: kubectl create namespace {namespace}-not"
    assert advice in capfd.readouterr().out


def test_options_of_a_cluster_need_a_platform(capfd):
    assert main(["doctor", "--namespace", "demo"]) == 2
    assert "add --platform knative" in capfd.readouterr().err
