"""What `skerry deploy` makes of an app for a cluster, without one: shown, or written for GitOps."""

import pytest

from skerry.cli.main import main

pytest.importorskip("jsonschema", reason="objects are checked against schemas with the extra kubernetes")

SOURCE = """
import skerry

app = skerry.App("news")


@app.function(secrets=("greeting",))
def greet(name: str) -> str:
    return name


@app.function(env={"MARK": "1"})
def add_two(number: int) -> int:
    print("noise")
    return number + 2


print("an app may print when it is imported")
"""


@pytest.fixture
def skerry_command(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))
    (tmp_path / "app.py").write_text(SOURCE)

    def run(*words):
        code = main([str(word) for word in words])
        found = capfd.readouterr()
        return code, found.out, found.err

    return run


@pytest.mark.parametrize(("platform", "kind"), [("knative", "serving.knative.dev/v1"), ("kubernetes", "apps/v1")])
def test_a_dry_run_prints_what_would_be_made(skerry_command, platform, kind):
    code, out, err = skerry_command("deploy", "app.py", "--platform", platform, "--namespace", "edge", "--dry-run")

    assert code == 0, err
    assert f"apiVersion: {kind}" in out
    assert "name: add-two" in out
    assert "namespace: edge" in out
    assert "stands for the image, which is not built here" in err


def test_settings_reach_the_objects(skerry_command):
    _, out, _ = skerry_command(
        "deploy", "app.py", "--platform", "knative", "--dry-run", "--set", "greet.timeout=100s", "--image", "r/news:1"
    )

    assert r"greet.timeout=\"100s\"" in out
    assert "image: r/news:1" in out


def test_a_folder_for_gitops_names_the_image_that_was_given(skerry_command, tmp_path):
    code, _, err = skerry_command(
        "deploy", "app.py", "--platform", "knative", "--target", tmp_path / "objects", "--image", "r/news:1"
    )

    assert code == 0, err
    assert "kubectl apply -k" in err
    names = sorted(path.name for path in (tmp_path / "objects").iterdir())
    assert names == ["app.yaml", "function-add-two.yaml", "function-greet.yaml", "kustomization.yaml"]
    assert "image: r/news:1" in (tmp_path / "objects" / "function-greet.yaml").read_text()


def test_an_app_that_cannot_be_imported_is_reported_with_its_traceback(skerry_command, tmp_path):
    (tmp_path / "app.py").write_text("import nothing_of_this_name\n")

    code, out, err = skerry_command("deploy", "app.py", "--platform", "knative", "--dry-run")

    assert (code, out) == (2, "")
    assert "cannot import 'app': ModuleNotFoundError" in err


def test_a_function_that_is_local_goes_to_no_cluster(skerry_command, tmp_path):
    (tmp_path / "app.py").write_text(SOURCE.replace('env={"MARK": "1"}', "local=True"))

    code, _, err = skerry_command("deploy", "app.py", "--platform", "knative", "--dry-run")

    assert code == 2
    assert "add_two" in err
    assert "local" in err


def test_an_image_needs_a_registry(skerry_command, tmp_path):
    code, _, err = skerry_command("deploy", "app.py", "--platform", "knative", "--target", tmp_path / "objects")

    assert code == 2
    assert "a cluster gets images from a registry, and none is named" in err


@pytest.mark.parametrize("platform", ["knative", "kubernetes"])
def test_an_app_whose_events_come_from_a_source_goes_to_no_cluster(skerry_command, tmp_path, platform):
    (tmp_path / "app.py").write_text(SOURCE + '\napp.source("inbox", skerry.FileSource(url="/srv/inbox"))\n')
    code, _, err = skerry_command("deploy", "app.py", "--platform", platform, "--dry-run")
    assert code == 2
    assert f"app 'news' has the source inbox: {platform} does not honour sources" in err


@pytest.mark.parametrize("platform", ["knative", "kubernetes"])
def test_an_app_with_a_state_needs_a_server_for_it(skerry_command, tmp_path, platform):
    words = ("deploy", "app.py", "--platform", platform, "--dry-run")
    (tmp_path / "app.py").write_text(SOURCE + '\ncounts = app.state("counts")\n')
    code, _, err = skerry_command(*words)
    assert code == 2
    assert f"function greet, add_two would keep it in a file of its container: on {platform}" in err
    assert "app 'news' has the state counts" in err

    (tmp_path / "skerry.toml").write_text('[state]\nurl = "redis://state.edge:6379/0"\n')
    code, out, err = skerry_command(*words)
    assert code == 0, err
    assert out.count("value: redis://state.edge:6379/0") == 2
