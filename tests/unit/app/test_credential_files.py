import pytest

from skerry.app.credential_files import credential_kind, refuse_credentials
from skerry.engine.sources.bundle import Member
from skerry.errors import ConfigError

KEY = b"-----" + b"BEGIN %s-----\nMIIEow\n"
KUBECONFIG = "apiVersion: v1\nkind: Config\nusers:\n- name: ada\n  user:\n    {}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (KEY % b"OPENSSH PRIVATE KEY", "a private key"),
        (KEY % b"PRIVATE KEY", "a private key"),
        (b"Bag Attributes\n" + KEY % b"EC PRIVATE KEY", "a private key"),
        (KUBECONFIG.format("token: abc").encode(), "a kubeconfig"),
        (KUBECONFIG.format("client-key-data: abc").encode(), "a kubeconfig"),
        (b"[default]\naws_secret_access_key = abc\n", "a cloud"),
    ],
)
def test_credentials_are_refused_with_the_file_and_what_to_do(content, words):
    with pytest.raises(ConfigError, match=rf"deep/file holds .*{words}") as caught:
        refuse_credentials([Member("app.py", b"import skerry\n"), Member("deep/file", content)])
    assert ".skerryignore" in caught.value.details["hint"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        KEY % b"CERTIFICATE",
        KEY % b"PUBLIC KEY",
        b'MARK = "-----' + b'BEGIN PRIVATE KEY-----"\n',
        KUBECONFIG.format("exec: {command: aws}").encode(),
        b"tokenizer: words\nkind: Configuration\n",
        bytes(range(256)) * 1000,
    ],
)
def test_other_files_are_not(content):
    assert credential_kind(content) is None
