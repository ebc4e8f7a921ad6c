import pytest

from skerry.errors import ConfigError
from skerry.platforms.images.reference import DOCKER_HUB, Reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python:3.12-slim", Reference(DOCKER_HUB, "library/python", "3.12-slim")),
        ("docker.io/python", Reference(DOCKER_HUB, "library/python")),
        ("me/digits", Reference(DOCKER_HUB, "me/digits")),
        ("ghcr.io/me/digits:1", Reference("ghcr.io", "me/digits", "1")),
        ("10.99.0.1:5000/digits", Reference("10.99.0.1:5000", "digits")),
        ("localhost/digits:v1", Reference("localhost", "digits", "v1")),
        (f"ghcr.io/me/digits@{DIGEST}", Reference("ghcr.io", "me/digits", "latest", DIGEST)),
    ],
)
def test_names_are_read_as_docker_reads_them(text, expected):
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "Ghcr.io/Me/Digits", "a b", "ghcr.io/x:", "x@sha256:12", "https://ghcr.io/x", "a:b:c"]
)
def test_what_names_no_image_is_refused(text):
    if text == "ghcr.io/x:":
        assert Reference.parse(text).tag == "latest"
        return
    with pytest.raises(ConfigError, match="names no image"):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("registry", "is_local"),
    [
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("10.0.0.1:5000", False),
        ("ghcr.io", False),
    ],
)
def test_only_this_machine_is_local(registry, is_local):
    assert Reference(registry, "x").is_local is is_local


def test_a_pinned_name_has_the_digest_in_place_of_the_tag():
    assert Reference.parse("python:3.12").pinned(DIGEST) == f"docker.io/library/python@{DIGEST}"
