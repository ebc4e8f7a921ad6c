import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from skerry.app.imaging import BuildSettings, build_image
from skerry.app.target import Target
from skerry.errors import ConfigError, EnvironmentBuildError
from skerry.platforms.images.blobs import Blobs
from support.runtime_process import RuntimeProcess

pytestmark = pytest.mark.timeout(400)  # the first test that wants Skerry's own libraries installs and compiles them


def build(project, cache, **settings):
    return build_image(Target.parse(str(project / "app.py:app")), BuildSettings(cache=cache, **settings))


def config_of(built, cache):
    blobs = Blobs(cache)
    return json.loads(blobs.read(json.loads(blobs.read(built.digest))["config"]["digest"]))


def names_in(layer, cache):
    with tarfile.open(Blobs(cache).path(layer.digest)) as tar:
        return {info.name for info in tar}


@pytest.mark.slow
def test_the_same_app_gives_the_same_image_with_another_umask_time_order_folder_and_cache(
    project, rootfs, image_cache, tmp_path
):
    first = build(project, image_cache, base_rootfs=rootfs)
    before = os.umask(0o000)
    try:
        copy = tmp_path / "elsewhere" / "hello"
        copy.mkdir(parents=True)
        for file in sorted(project.iterdir(), reverse=True):
            shutil.copyfile(file, copy / file.name)
            os.utime(copy / file.name, (1_000_000_000, 1_000_000_000))
        second = build(copy, tmp_path / "cache", base_rootfs=rootfs)
    finally:
        os.umask(before)
    assert [layer.digest for layer in first.layers] == [layer.digest for layer in second.layers]
    assert first.digest == second.digest


def test_a_container_runs_the_app_as_nobody_special_and_has_its_libraries_its_bytecode_and_a_bill(
    project, rootfs, image_cache
):
    built = build(project, image_cache, base_rootfs=rootfs)
    config = config_of(built, image_cache)["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python3", "-m", "skerry.runtime", "--host", "0.0.0.0"]
    assert (config["WorkingDir"], config["Cmd"]) == ("/app", ["app.py:app"])
    assert config["Labels"]["dev.skerry.target"] == "app.py:app"
    assert [layer.title for layer in built.layers] == ["base", "libraries", "runtime", "app"]
    libraries, runtime, app = (names_in(layer, image_cache) for layer in built.layers[1:])
    assert "opt/skerry/lib/pydantic/main.py" in libraries
    assert any(name.startswith("opt/skerry/lib/pydantic/__pycache__/main.") for name in libraries)
    assert "opt/skerry/lib/skerry/runtime/__main__.py" in runtime
    assert {"app/app.py", "app/words.txt", "app/skerry.toml", "opt/skerry/sbom.cdx.json"} <= app
    listed = {part["name"] for part in built.sbom["components"]}
    assert {"skerry", "pydantic", "orjson"} <= listed


@pytest.mark.parametrize(
    ("toml", "text", "inside"),
    [
        ('[app]\ntarget = "src/app.py:app"\n', "src/app.py:app", "src/app.py:app"),
        (None, "shop.app:app", "shop.app:app"),
        ("", "src/shop.app:app", "src/shop.app:app"),
    ],
)
def test_a_container_of_an_app_in_a_subfolder_or_a_package_serves_it(
    rootfs, image_cache, tmp_path, monkeypatch, toml, text, inside
):
    source = "import skerry\n{}\napp = skerry.App('shop')\n\n@app.function\ndef price() -> int:\n    return x\n"
    below = "src/" if text.startswith("src/") else ""
    files = {
        f"work/{below}app.py": source.format("from shop.util import x"),
        f"work/{below}shop/app.py": source.format("from .util import x"),
        f"work/{below}shop/util.py": "x = 7\n",
        **({} if toml is None else {"work/skerry.toml": toml}),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    target = Target.parse(text, folder=tmp_path / "work")
    built = build_image(target, BuildSettings(cache=image_cache, base_rootfs=rootfs))

    assert config_of(built, image_cache)["config"]["Cmd"] == [inside]
    with tarfile.open(Blobs(image_cache).path(built.layers[-1].digest)) as tar:
        tar.extractall(tmp_path / "container", filter="data")
    monkeypatch.chdir(tmp_path / "container" / "app")
    runtime = RuntimeProcess(tmp_path / "log", Path(inside))
    try:
        assert runtime.start().call("price").json() == 7
    finally:
        runtime.close()


def test_no_layer_above_the_base_names_this_machine(project, rootfs, image_cache, tmp_path):
    built = build(project, image_cache, base_rootfs=rootfs)
    for layer in built.layers[1:]:
        with tarfile.open(Blobs(image_cache).path(layer.digest)) as tar:
            for info in tar:
                content = tar.extractfile(info).read() if info.isfile() else b""
                assert str(tmp_path).encode() not in content, info.name
                assert b"/skerry-image-" not in content, info.name


def test_a_changed_line_changes_the_layer_of_the_app_alone(project, rootfs, image_cache):
    first = build(project, image_cache, base_rootfs=rootfs)
    (project / "app.py").write_text((project / "app.py").read_text().replace("hello {", "hi {"))
    second = build(project, image_cache, base_rootfs=rootfs)
    assert first.layers[:-1] == second.layers[:-1]
    assert first.layers[-1] != second.layers[-1]
    assert second.layers[-1].size_bytes < 100_000


def test_an_archive_is_a_base_for_another_image(project, rootfs, image_cache, copy_cache, tmp_path):
    archive = tmp_path / "first.tar"
    first = build(project, image_cache, base_rootfs=rootfs, output=archive)
    again = tmp_path / "again.tar"
    build(project, image_cache, base_rootfs=rootfs, output=again)
    assert archive.read_bytes() == again.read_bytes()
    second = build(project, copy_cache(without="base"), base=str(archive), output=tmp_path / "second.tar")
    assert [layer.digest for layer in second.layers[: len(first.layers)]] == [layer.digest for layer in first.layers]
    assert second.base == f"{archive}@{first.digest}"


def test_a_damaged_archive_is_no_base(project, image_cache, tmp_path):
    (tmp_path / "base.tar").write_bytes(b"no tar")
    with pytest.raises(ConfigError, match="no OCI archive"):
        build(project, image_cache, base=str(tmp_path / "base.tar"))


def test_a_root_file_system_without_this_python_is_refused(project, image_cache, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no python3"):
        build(project, image_cache, base_rootfs=tmp_path / "empty")


def test_a_file_with_a_token_is_not_in_the_image(project, rootfs, image_cache):
    (project / "skerry.toml").write_text(
        '[app]\ntarget = "app.py:app"\n[sites.edge]\naddress = "https://edge:8443"\ntoken_file = "edge.token"\n'
    )
    (project / "edge.token").write_text("very-secret-token")
    (project / "edge.token").chmod(0o600)
    built = build(project, image_cache, base_rootfs=rootfs)
    assert "app/edge.token" not in names_in(built.layers[-1], image_cache)


def test_a_container_knows_the_imports_of_its_app_before_it_runs_it(project, rootfs, image_cache):
    (project / "app.py").write_text(
        (project / "app.py").read_text().replace('App("hello")', 'App("hello", imports=["json"])')
    )
    built = build(project, image_cache, base_rootfs=rootfs)
    assert "SKERRY_IMPORTS=json" in config_of(built, image_cache)["config"]["Env"]


def test_requirements_are_a_layer_of_their_own_and_what_cannot_be_installed_is_named(
    project, rootfs, image_cache, wheels
):
    from support.wheels import make_wheel

    make_wheel(wheels, "tidal", "1.2")
    (project / "skerry.toml").write_text('[app]\ntarget = "app.py:app"\nrequirements = ["tidal"]\n')
    built = build(project, image_cache, base_rootfs=rootfs)
    assert [layer.title for layer in built.layers] == ["base", "requirements", "libraries", "runtime", "app"]
    assert "opt/skerry/lib/tidal.py" in names_in(built.layers[1], image_cache)
    (project / "skerry.toml").write_text('[app]\ntarget = "app.py:app"\nrequirements = ["no-such-tide"]\n')
    with pytest.raises(EnvironmentBuildError, match="no-such-tide"):
        build(project, image_cache, base_rootfs=rootfs)


def test_a_lock_with_hashes_is_installed_as_it_stands_and_a_library_that_differs_is_refused(
    project, rootfs, image_cache, wheels
):
    from support.wheels import make_wheel

    for version in ("3.0", "3.1"):
        make_wheel(wheels, "ebb", version)
    sha256 = hashlib.sha256((wheels / "ebb-3.0-py3-none-any.whl").read_bytes()).hexdigest()
    (project / "skerry.toml").write_text('[app]\ntarget = "app.py:app"\nrequirements = ["ebb"]\n')
    (project / "skerry.lock").write_text(f"ebb==3.0 \\\n    --hash=sha256:{sha256}\n")
    built = build(project, image_cache, base_rootfs=rootfs)
    assert ("ebb", "3.0") in {(part["name"], part["version"]) for part in built.sbom["components"]}
    assert [layer.title for layer in built.layers] == ["base", "requirements", "libraries", "runtime", "app"]
    (project / "skerry.lock").write_text(f"ebb==3.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentBuildError, match="HASHES"):
        build(project, image_cache, base_rootfs=rootfs)
