import base64
import json

import pytest

from skerry.platforms.images.credentials import find_credentials
from skerry.platforms.images.reference import DOCKER_HUB

LOGIN = base64.b64encode(b"ada:secret").decode()


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    return lambda config: (tmp_path / "config.json").write_text(json.dumps(config))


def test_a_login_is_found_by_the_registry(write):
    write({"auths": {"ghcr.io": {"auth": LOGIN}}})
    assert find_credentials("ghcr.io") == LOGIN
    assert find_credentials("quay.io") is None


def test_a_login_for_docker_hub_has_its_old_address(write):
    write({"auths": {"https://index.docker.io/v1/": {"auth": LOGIN}}})
    assert find_credentials(DOCKER_HUB) == LOGIN


def test_a_helper_is_asked_and_one_that_fails_counts_as_absent(write, tmp_path, monkeypatch):
    write({"credHelpers": {"ghcr.io": "keeper", "quay.io": "missing"}})
    helper = tmp_path / "docker-credential-keeper"
    helper.write_text('#!/bin/sh\nread name\necho \'{"Username": "ada", "Secret": "secret"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_credentials("ghcr.io") == LOGIN
    assert find_credentials("quay.io") is None


def test_a_file_that_cannot_be_read_counts_as_absent(write, tmp_path):
    assert find_credentials("ghcr.io") is None
    (tmp_path / "config.json").write_text("{")
    assert find_credentials("ghcr.io") is None
