"""How a kubeconfig is read, and what is said of one that cannot be."""

import base64
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from skerry.errors import ConfigError
from skerry.platforms.kubernetes.api.credentials import read_access

pytestmark = pytest.mark.skipif(find_spec("kubernetes") is None, reason="the extra kubernetes is not installed")


@pytest.fixture
def write(tmp_path):
    """Write a kubeconfig with one context and one user."""

    def write(user, *, name="edge", file="kubeconfig", proxy=None, **context):
        path = tmp_path / file
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
            "clusters": [
                {"name": name, "cluster": {"server": f"https://{name}:6443", **({"proxy-url": proxy} if proxy else {})}}
            ],
            "users": [{"name": name, "user": user}],
        }
        path.write_text(json.dumps(content))
        return path

    return write


def plugin(code):
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", code],
            "interactiveMode": "Never",
        }
    }


def test_a_token_and_the_contexts_namespace_are_found(write):
    access = read_access(write({"token": "secret"}, namespace="demo"))

    assert (access.server, access.context, access.namespace, access.means) == (
        "https://edge:6443",
        "edge",
        "demo",
        "token",
    )
    assert "secret" not in repr(access)


def test_a_proxy_of_the_cluster_is_used(write):
    assert read_access(write({"token": "t"}, proxy="http://proxy:3128")).configuration.proxy == "http://proxy:3128"


def test_several_files_are_one(write, monkeypatch):
    files = [write({"token": "a"}), write({"token": "b"}, name="far", file="second")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))

    assert read_access().server == "https://edge:6443"
    assert read_access(context="far").server == "https://far:6443"


def test_a_plugin_gives_a_token(write):
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}

    access = read_access(write(plugin(f"print('''{json.dumps(answer)}''')")))
    assert access.means == "credentials plugin"
    assert access.configuration.get_api_key_with_prefix("BearerToken") == "Bearer t"


def test_a_plugin_that_fails_is_named_with_its_reason(write):
    file = write(plugin("raise SystemExit('please log in')"))

    with pytest.raises(ConfigError, match=r"plugin '.*python.*' of context 'edge' gave nothing \(.*please log in\)"):
        read_access(file)


def test_a_file_that_is_not_there_or_no_kubeconfig_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="name one with --kubeconfig or KUBECONFIG"):
        read_access(tmp_path / "missing")
    wrong = tmp_path / "wrong"
    wrong.write_text("just words")

    with pytest.raises(ConfigError, match="wrong is not a kubeconfig"):
        read_access(wrong)


def test_threads_that_read_one_kubeconfig_at_once_all_get_whole_certificates(write):
    """Regression: a thread was given the file of a certificate before another had written it."""
    readers, rounds = 8, 40
    old_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(readers) as pool:
            for number in range(rounds):
                certificate, key = f"certificate {number} {os.getpid()}", f"key {number} {os.getpid()}"
                file = write(
                    {
                        "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
                        "client-key-data": base64.b64encode(key.encode()).decode(),
                    }
                )
                found = set(pool.map(_read_certificate, [file] * readers))
                assert found == {(certificate, key)}
    finally:
        sys.setswitchinterval(old_interval_s)


def _read_certificate(file):
    configuration = read_access(file).configuration
    return Path(configuration.cert_file).read_text(), Path(configuration.key_file).read_text()
