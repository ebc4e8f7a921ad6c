import pytest

from skerry.errors import SpecError
from skerry.spec import (
    ENGINE,
    KNATIVE,
    KUBERNETES,
    ClusterSettings,
    FunctionSpec,
    Toleration,
    Volume,
    function_spec,
    read_project_file,
    refuse_unsupported,
    resolve,
)


def project(tmp_path, text):
    path = tmp_path / "skerry.toml"
    path.write_text(text)
    return read_project_file(path)


def test_a_platforms_table_holds_settings_and_options_of_functions(tmp_path):
    file = project(
        tmp_path,
        '[function.f]\nmemory = "100MiB"\n[platform.knative]\nnamespace = "edge"\nmax_timeout = "1h"\n'
        '[platform.knative.function.f]\nsecrets = ["db"]\nscale.window = "6s"\n',
    )
    assert file["platform"][KNATIVE].settings == ClusterSettings(namespace="edge", max_timeout="1h")
    there = resolve({"f": {}}, file=file, environment={}, platform=KNATIVE)["f"]
    assert (there.memory, there.secrets, there.scale.window) == ("100MiB", ("db",), "6s")
    for platform in (ENGINE, KUBERNETES, None):
        here = resolve({"f": {}}, file=file, environment={}, platform=platform)["f"]
        assert (here.memory, here.secrets, here.scale.window) == ("100MiB", (), "60s")


def test_the_engine_may_have_options_of_its_own(tmp_path):
    file = project(tmp_path, "[platform.engine.function.f]\nscale.buffer = 1\n")
    assert resolve({"f": {}}, file=file, environment={}, platform=ENGINE)["f"].scale.buffer == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[platform.lambda]\n", "no such platform; there are: engine, knative, kubernetes"),
        ("[platform.knative]\nnamspace = 'x'\n", "unknown option 'namspace'"),
        ("[platform.knative]\nnamespace = 'X'\n", "namespace = 'X'"),
        ("[platform.knative]\nnetwork_policy = 1\n", "network_policy = 1: expected true or false"),
        ("[platform.knative]\nautoscaling = 'v1'\n", "one of 'v2', 'v2beta2'"),
        ("[platform.knative]\nautoscaling = 'v2'\n", "autoscaling means something on kubernetes only"),
        ("[platform.kubernetes]\nvisibility = 'cluster'\n", "visibility means something on knative only"),
        ("[platform.knative]\nfunction = 1\n", r"write options as \[platform.knative.function.NAME\]"),
        ("[platform.engine]\nnamespace = 'x'\n", "options of functions only, not namespace"),
        ("platform = 1\n", r"\[platform.NAME\]"),
    ],
)
def test_a_wrong_platform_table_is_answered_with_what_is_wrong(tmp_path, text, words):
    with pytest.raises(SpecError, match=words):
        project(tmp_path, text)


def test_a_function_of_a_platforms_table_that_is_not_there_is_named(tmp_path):
    file = project(tmp_path, "[platform.knative.function.g]\ngpu = 1\n")
    with pytest.raises(SpecError, match=r"skerry.toml: \[platform.knative\]: no function 'g'"):
        resolve({"f": {}}, file=file, environment={}, platform=KNATIVE)


def test_what_a_platform_does_not_honour_is_refused_by_name_with_the_way_out():
    spec = FunctionSpec(name="f", gpu=1, secrets=("db",))
    with pytest.raises(SpecError, match=r"engine does not honour secrets, gpu; .*platform.PLATFORM.function.f"):
        refuse_unsupported(spec, ENGINE)
    refuse_unsupported(spec, KNATIVE)
    refuse_unsupported(FunctionSpec(name="f"), ENGINE)


def test_the_options_of_clusters_survive_a_record():
    values = {
        "name": "f",
        "secrets": ["db"],
        "gpu": 1,
        "tier": "edge",
        "node_labels": {"zone": "a"},
        "tolerations": ["edge=true:NoSchedule"],
        "runtime_class": "gvisor",
        "volumes": {"/data": "pvc/x:ro"},
    }
    spec = function_spec(values, where="test")
    assert spec.to_dict() | values == spec.to_dict()
    assert function_spec(spec.to_dict(), where="test") == spec


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"secrets": ["Db"]}, "secrets: 'Db'"),
        ({"secrets": "db"}, "expected a list of texts"),
        ({"gpu": -1}, "gpu = -1"),
        ({"tier": "moon"}, "one of 'device', 'edge', 'cloud'"),
        ({"node_labels": {"a b": "c"}}, "no label of Kubernetes"),
        ({"node_labels": 1}, "expected a table of texts"),
        ({"tolerations": ["a:Never"]}, "write KEY"),
        ({"tolerations": ["=x"]}, "write KEY"),
        ({"runtime_class": "gVisor"}, "runtime_class: 'gVisor'"),
        ({"volumes": {"data": "pvc/x"}}, "write an absolute path"),
        ({"volumes": {"/a/../b": "pvc/x"}}, "write an absolute path"),
        ({"volumes": {"/tmp": "pvc/x"}}, "the container's own"),
        ({"volumes": {"/a": "nfs/x"}}, "write pvc/NAME"),
        ({"volumes": {"/a": "pvc/x:rw"}}, "write pvc/NAME"),
    ],
)
def test_a_wrong_option_of_clusters_says_how_to_write_it(values, words):
    with pytest.raises(SpecError, match=words):
        function_spec({"name": "f", **values}, where="function 'f'")


def test_tolerations_and_volumes_are_read_as_people_write_them():
    assert Toleration.parse("a") == Toleration(key="a")
    assert Toleration.parse("a=") == Toleration(key="a", value="")
    assert Toleration.parse("x.y/a=b:NoExecute") == Toleration(key="x.y/a", value="b", effect="NoExecute")
    assert Volume.parse("/a", "pvc/x") == Volume(path="/a", kind="pvc", name="x", read_only=False)
    assert Volume.parse("/a", "secret/x").read_only
