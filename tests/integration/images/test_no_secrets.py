"""What must not be given away is planted everywhere, and looked for in everything that a build leaves or says."""

import base64
import gzip
import io
import json
import logging
import os
import tarfile

import pytest

from skerry.app.clusters import ClusterPlace
from skerry.app.deploying import DeployPlan, render_app
from skerry.app.imaging import BuildSettings, build_image
from skerry.app.target import Target
from skerry.errors import ConfigError
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.kubernetes.manifests import to_yaml

pytestmark = pytest.mark.timeout(400)  # the first test installs and compiles Skerry's own libraries
HASHED = "$2y$04$abcdefghijklmnopqrstuu1qpP1CMp/0kFovmakDl70ruBcZs2vS."  # of "tide"
MARK = "7hGq2-planted"
APP = """
import skerry

app = skerry.App("keeper")


@app.function(secrets=("vault",))
def keep(number: int) -> int:
    return number
"""


@pytest.fixture
def planted(project, monkeypatch, tmp_path):
    """A project with secrets in the places where people have them; all of them begin with the mark."""
    (project / "app.py").write_text(APP)
    (project / ".env").write_text(f"PASSWORD={MARK}-env\n")
    for place in (".ssh/id_ed25519", ".git/config", ".docker/config.json", ".aws/credentials"):
        (project / place).parent.mkdir()
        (project / place).write_text(f"{MARK}-{place}\n")
    (project / "site-token").write_text(f"{MARK}-site-token\n")
    (project / "skerry.toml").write_text(
        '[sites.hut]\naddress = "https://10.0.0.9:1"\ntoken_file = "site-token"\n[platform.knative]\nnamespace = "x"\n'
    )
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": f"{MARK}-kubeconfig"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    for variable in ("VAULT_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SKERRY_TOKEN"):
        monkeypatch.setenv(variable, f"{MARK}-{variable}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return project


def test_nothing_that_was_planted_is_in_an_image_its_objects_or_what_is_said(
    planted, rootfs, tmp_path, image_cache, start_registry, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "passwords").write_text(f"ada:{HASHED}\n")
    address = start_registry(password_file=tmp_path / "passwords").address
    login = base64.b64encode(b"ada:tide").decode()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
    said, target = [], Target.parse(str(planted / "app.py"))

    settings = BuildSettings(cache=image_cache, base_rootfs=rootfs, push=f"{address}/keeper:1", tell=said.append)
    built = build_image(target, settings)
    place = ClusterPlace(platform="knative")
    rendered = render_app(DeployPlan(target=target, place=place, image=built.reference, tell=said.append), build=False)

    output = capfd.readouterr()
    shown = [repr(built), repr(rendered), to_yaml(rendered.objects), caplog.text, *said, output.out, output.err]
    for text in shown:
        assert MARK not in text
        assert login not in text
        assert "tide" not in text
    assert "secretRef" in to_yaml(rendered.objects)
    names = []
    for name, content in unpacked(image_cache):
        names.append(name)
        assert MARK.encode() not in content, name
        assert login.encode() not in content, name
    assert "app/app.py" in names
    assert not {"app/site-token", "app/.env"} & set(names)


@pytest.mark.parametrize("name", ["id_rsa", "certificates/server.key"])
def test_a_private_key_in_plain_sight_is_refused_until_it_is_left_out(planted, rootfs, image_cache, name):
    (planted / name).parent.mkdir(exist_ok=True)
    (planted / name).write_text("-----" + f"BEGIN OPENSSH PRIVATE KEY-----\n{MARK}\n")
    settings = BuildSettings(cache=image_cache, base_rootfs=rootfs)

    with pytest.raises(ConfigError, match=f"{name} holds a private key") as caught:
        build_image(Target.parse(str(planted / "app.py")), settings)
    assert MARK not in str(caught.value.to_problem())

    (planted / ".skerryignore").write_text(f"{name}\n")
    build_image(Target.parse(str(planted / "app.py")), settings)


def unpacked(cache):
    """Yield name and content of everything in a cache of images: what is stored, and what is packed in it."""
    blobs = Blobs(cache)
    # Other tests share the cache: what they are writing is theirs to look at.
    for file in (path for path in cache.rglob("*") if path.is_file() and not path.name.startswith((".new-", "tmp"))):
        content = file.read_bytes()
        yield os.path.relpath(file, cache), content
        if file.parent == blobs.path(f"sha256:{'0' * 64}").parent and content[:2] == b"\x1f\x8b":
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
                for member in tar:
                    opened = tar.extractfile(member) if member.isfile() else None
                    yield member.name, b"" if opened is None else opened.read()
