import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import skerry
from skerry.errors import InputNotFoundError, InvalidPayloadError
from skerry.payload import Signature
from skerry.payload.file import Found, Reference, is_name, use_port

DIGEST = "sha256:" + "0f" * 32
REFERENCE = {"digest": DIGEST, "size_bytes": 3, "name": "a.csv"}


class Port:
    def __init__(self, path="/store/a.csv"):
        self.path = path
        self.opened = []

    def refer(self, item):
        return Reference(**{**REFERENCE, "name": item.name})

    def open(self, reference, kind):
        self.opened.append((reference, kind))
        return Found(path=self.path)


def count(file: skerry.File, times: int = 1) -> int: ...


def take(file: skerry.File) -> skerry.File: ...


class Job(BaseModel):
    inputs: list[skerry.File]
    folder: skerry.Folder | None = None


def run(job: Job) -> int: ...


def test_a_file_is_a_path():
    assert os.fspath(skerry.File("data/a.csv")) == "data/a.csv"
    assert skerry.File(Path("data/a.csv")).path == Path("data/a.csv")
    assert skerry.File("data/a.csv").name == "a.csv"
    assert skerry.Folder("data/").name == "data"


def test_a_reference_in_a_body_becomes_a_path():
    port, signature = Port(), Signature.of(count)
    body = b'{"file": {"digest": "%s", "size_bytes": 3, "name": "a.csv"}}' % DIGEST.encode()
    with use_port(port):
        _, named = signature.decode_call(body, "application/json")
    assert os.fspath(named["file"]) == "/store/a.csv"
    assert named["file"].digest == DIGEST
    assert port.opened == [(Reference(**REFERENCE), "file")]


def test_a_file_travels_as_its_reference_wherever_it_stands():
    port = Port()
    with use_port(port):
        body = Signature.of(run).encode_call((Job(inputs=[skerry.File("x/a.csv")], folder=skerry.Folder("f")),), {})
        (job,), _ = Signature.of(run).decode_call(body, "application/json")
    assert body.count(DIGEST.encode()) == 2
    assert isinstance(job.inputs[0], skerry.File)
    assert isinstance(job.folder, skerry.Folder)
    assert [kind for _, kind in port.opened] == ["file", "folder"]


def test_a_file_without_an_annotation_travels_too():
    def handler(value): ...

    for content_type in ("application/json", "application/msgpack"):
        with use_port(Port()):
            body = Signature.of(handler).encode_call(({"deep": [skerry.File("a.csv")]},), {}, content_type)
        assert DIGEST.encode() in body


def test_a_file_cannot_be_sent_by_what_does_not_send_its_content():
    with pytest.raises(InvalidPayloadError, match="remote"):
        Signature.of(take).encode_call((skerry.File("a.csv"),), {})


def test_what_is_not_here_says_so():
    found = Signature.of(take).decode_result(
        b'{"digest": "%s", "size_bytes": 3, "name": "a.csv"}' % DIGEST.encode(), "application/json"
    )
    assert found.digest == DIGEST
    with pytest.raises(InvalidPayloadError, match="not on this machine"):
        os.fspath(found)


def test_what_a_site_has_can_be_named():
    file = skerry.File.at_site(DIGEST, size_bytes=3, name="a.csv")
    assert (file.digest, file.name, file.is_here) == (DIGEST, "a.csv", False)
    with pytest.raises(InvalidPayloadError, match="64"):
        skerry.File.at_site("sha256:1", size_bytes=3, name="a.csv")


@pytest.mark.parametrize(
    "body",
    [
        b'"data/a.csv"',
        b"{}",
        b'{"digest": "md5:1", "size_bytes": 3, "name": "a"}',
        b'{"digest": "%s", "size_bytes": -1, "name": "a"}' % DIGEST.encode(),
        b'{"digest": "%s", "size_bytes": true, "name": "a"}' % DIGEST.encode(),
        b'{"digest": "%s", "size_bytes": 1, "name": "../../etc/passwd"}' % DIGEST.encode(),
        b'{"digest": "%s", "size_bytes": 1, "name": ".."}' % DIGEST.encode(),
        b'{"digest": "%s", "size_bytes": 1, "name": "a", "path": "/etc/passwd"}' % DIGEST.encode(),
    ],
)
def test_anything_but_a_reference_is_refused(body):
    with use_port(Port()), pytest.raises(InvalidPayloadError):
        Signature.of(take).decode_call(body, "application/json")


def test_a_file_that_is_missing_is_reported_as_missing():
    class Empty(Port):
        def open(self, reference, kind):
            raise InputNotFoundError("not here", digests=[reference.digest])

    with use_port(Empty()), pytest.raises(InputNotFoundError):
        Signature.of(take).decode_call(
            b'{"digest": "%s", "size_bytes": 3, "name": "a.csv"}' % DIGEST.encode(), "application/json"
        )


@given(st.text())
def test_a_name_stays_in_its_folder(text):
    if is_name(text):
        assert os.path.dirname(os.path.normpath(os.path.join("/folder", text))) == "/folder"


def test_equal_files_are_equal_keys():
    assert skerry.File("a") == skerry.File("a")
    assert skerry.File("a") != skerry.Folder("a")
    assert len({skerry.File("a"), skerry.File("a"), skerry.File("a", local=True)}) == 2


def test_the_schema_says_what_to_send():
    schema = Signature.of(take).schema()["input"]
    assert schema["required"] == ["digest", "size_bytes", "name"]
