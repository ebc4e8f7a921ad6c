import base64
import json
import socket

import pytest

from skerry.app.imaging import BuildSettings, build_image
from skerry.app.target import Target
from skerry.errors import ConfigError, TransportError, UnauthorizedError
from skerry.platforms.images.base import architecture
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.reference import Reference
from skerry.platforms.images.registry import Registry

pytestmark = pytest.mark.timeout(400)  # the first test installs and compiles Skerry's own libraries
# The password "tide", as htpasswd -B writes it.
HASHED = "$2y$04$abcdefghijklmnopqrstuu1qpP1CMp/0kFovmakDl70ruBcZs2vS."


def build(project, cache, **settings):
    return build_image(Target.parse(str(project / "app.py:app")), BuildSettings(cache=cache, **settings))


def test_a_changed_line_pushes_less_than_100_kb_and_an_unchanged_app_next_to_nothing(
    project, rootfs, image_cache, start_registry
):
    name = f"{start_registry().address}/team/hello:1"
    first = build(project, image_cache, base_rootfs=rootfs, push=name)
    assert first.pushed_bytes > 1_000_000
    assert first.reference == f"{name.removesuffix(':1')}@{first.digest}"
    (project / "app.py").write_text((project / "app.py").read_text().replace("hello {", "hi {"))
    second = build(project, image_cache, base_rootfs=rootfs, push=name)
    assert 0 < second.pushed_bytes < 100_000
    assert build(project, image_cache, base_rootfs=rootfs, push=name).pushed_bytes < 5_000


def test_a_registry_that_takes_nothing_is_found_out_before_anything_is_built(project, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and nobody listens
        name = f"127.0.0.1:{silent.getsockname()[1]}/hello:1"
        with pytest.raises(TransportError, match="does not answer") as refused:
            build(project, tmp_path / "cache", base="this-python", push=name)
    assert "look at its address" in refused.value.details["hint"]
    assert not (tmp_path / "cache").exists()


def test_what_was_pushed_is_what_the_registry_gives(project, rootfs, image_cache, start_registry, tmp_path):
    name = f"{start_registry().address}/hello:1"
    built = build(project, image_cache, base_rootfs=rootfs, push=name)
    registry = Registry(Reference.parse(name))
    config, layers, digest = registry.image(architecture())
    assert digest == built.digest
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in built.layers]
    copy = Blobs(tmp_path / "copy")
    registry.fetch(layers[-1].digest, copy)
    assert copy.read(layers[-1].digest) == Blobs(image_cache).read(built.layers[-1].digest)


def test_a_base_of_the_same_registry_is_mounted_and_does_not_travel(
    project, rootfs, image_cache, start_registry, copy_cache
):
    address = start_registry().address
    base = build(project, image_cache, base_rootfs=rootfs, push=f"{address}/base:1")
    elsewhere = copy_cache(without="base")
    built = build(project, elsewhere, base=f"{address}/base:1", push=f"{address}/other/hello:1")
    fetched = [layer for layer in base.layers if layer.title == "base" and Blobs(elsewhere).has(layer.digest)]
    assert fetched == []
    assert built.base == f"{address}/base:1@{base.digest}"


def test_a_base_of_another_registry_is_carried_over(project, rootfs, image_cache, start_registry, copy_cache, tmp_path):
    base = f"{start_registry().address}/base:1"
    build(project, image_cache, base_rootfs=rootfs, push=base)
    target = f"{start_registry().address}/hello:1"
    built = build(project, copy_cache(without="base"), base=base, push=target, output=tmp_path / "hello.tar")
    assert Registry(Reference.parse(target)).image(architecture())[2] == built.digest
    assert (tmp_path / "hello.tar").is_file()


def test_a_login_is_taken_from_dockers_file_and_without_one_the_message_says_how_to_log_in(
    project, rootfs, image_cache, start_registry, tmp_path, monkeypatch
):
    (tmp_path / "passwords").write_text(f"ada:{HASHED}\n")
    address = start_registry(password_file=tmp_path / "passwords").address
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(UnauthorizedError, match="refuses") as refused:
        build(project, image_cache, base_rootfs=rootfs, push=f"{address}/hello:1")
    assert "docker login" in refused.value.details["hint"]
    login = base64.b64encode(b"ada:tide").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
    assert build(project, image_cache, base_rootfs=rootfs, push=f"{address}/hello:1").pushed_bytes > 0


def test_an_image_that_is_not_there_and_a_registry_that_is_not_there_are_named(project, image_cache, start_registry):
    address = start_registry().address
    with pytest.raises(ConfigError, match="no image 127"):
        build(project, image_cache, base=f"{address}/nothing:1")
    with pytest.raises(TransportError, match="does not answer"):
        build(project, image_cache, base="127.0.0.1:1/nothing:1")
