"""Files of calls in a worker whose machine shares no disk with anybody."""

import pytest

import skerry
from skerry.errors import InputNotFoundError
from skerry.platforms.outgoing import Outbox
from skerry.runtime.inputs import WorkerInputs
from skerry.store.inputs import SharedInputs


@pytest.fixture
def outgoing(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    box = Outbox()
    box.refer(skerry.File(tmp_path / "a.csv"))
    return box.items[0]


def test_what_is_not_here_comes_from_the_store_once(tmp_path, outgoing):
    shared = tmp_path / "objects"
    SharedInputs(str(shared)).put(outgoing.contents[0].sha256, outgoing.contents[0].source)
    inputs = WorkerInputs(str(tmp_path / "inputs"), str(shared), "1MiB")

    for _ in range(2):
        found = inputs.open(outgoing.reference, "file")
        with open(found.path) as file:
            assert file.read() == "1,2\n"
        SharedInputs(str(shared))._objects().delete(f"contents/{outgoing.reference.hex}")


def test_what_nobody_has_is_named_so_that_the_caller_sends_it(tmp_path, outgoing):
    for shared in ("", str(tmp_path / "objects")):
        with pytest.raises(InputNotFoundError) as caught:
            WorkerInputs(str(tmp_path / "inputs"), shared).open(outgoing.reference, "file")
        assert caught.value.details["digests"] == [outgoing.reference.digest]
