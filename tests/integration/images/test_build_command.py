import json
from pathlib import Path

import pytest

from skerry.cli.main import main

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def run(project, image_cache, monkeypatch, capsys):
    monkeypatch.chdir(project)
    monkeypatch.setenv("SKERRY_IMAGE_CACHE", str(image_cache))

    def call(*words):
        code = main(["build", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_an_image_is_written_to_dist_and_described(run, rootfs):
    code, out, err = run("--base-rootfs", str(rootfs), "--json")
    built = json.loads(out)
    assert (code, err) == (0, "")
    assert Path(built["output"]).is_file()
    assert built["output"] == "dist/hello.oci.tar"
    assert built["target"] == "app.py:app"
    assert [layer["title"] for layer in built["layers"]] == ["base", "libraries", "runtime", "app"]
    code, out, err = run("--base-rootfs", str(rootfs))
    assert out.splitlines()[-1] == built["reference"]
    assert "wrote dist/hello.oci.tar" in err


def test_the_bill_of_materials_is_printed(run, rootfs):
    code, out, _ = run("--base-rootfs", str(rootfs), "--sbom")
    assert code == 0
    assert json.loads(out)["bomFormat"] == "CycloneDX"


def test_a_dockerfile_is_written_with_all_that_it_copies(run, tmp_path):
    code, out, _ = run("--dockerfile", str(tmp_path / "context"), "--base", "registry.example.com/python:3")
    written = Path(out.strip())
    assert (code, written) == (0, tmp_path / "context" / "Dockerfile")
    lines = written.read_text().splitlines()
    assert "FROM registry.example.com/python:3" in lines
    assert "USER 65532:65532" in lines
    assert 'CMD ["app.py:app"]' in lines
    copied = {path.name for path in written.parent.iterdir()}
    assert copied == {"Dockerfile", "app", "skerry", "requirements.txt", "skerry.lock", "versions.txt"}
    assert "pydantic==" in (written.parent / "versions.txt").read_text()
    code, _, err = run("--dockerfile", str(tmp_path / "context"))
    assert code == 2
    assert "not an empty folder" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--push", "Not/An Image"), "names no image"),
        (("--base", "this-python", "--dockerfile", "x"), "begins with an image of a registry"),
        (("--engine", "podman", "--output", "x.tar"), "does not go with"),
        (("nothing.py",), "no file"),
    ],
)
def test_wrong_use_is_explained_with_exit_code_2(run, words, said):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_a_time_that_is_none_is_refused(run, monkeypatch, rootfs):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    code, _, err = run("--base-rootfs", str(rootfs))
    assert code == 2
    assert "SOURCE_DATE_EPOCH" in err
