import threading
from pathlib import Path

import pytest

from skerry import File, Folder
from skerry.errors import CorruptObjectError, InputNotFoundError
from skerry.payload.file import Reference
from skerry.platforms.outgoing import Outbox
from skerry.store.inputs import InputStore, SharedInputs
from skerry.store.objects import open_store


@pytest.fixture
def shared(tmp_path):
    return SharedInputs(str(tmp_path / "objects"))


@pytest.fixture
def here(tmp_path):
    return InputStore(tmp_path / "inputs")


def put(shared, item):
    """Write a file or folder to the store; return what stands for it."""
    reference = (box := Outbox()).refer(item)
    for content in box.items[0].contents:
        shared.put(content.sha256, content.source)
    return reference


def test_a_file_comes_by_its_content(shared, here, tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    reference = put(shared, File(tmp_path / "a.csv"))

    assert shared.has(reference.hex, 4)
    assert not shared.has(reference.hex, 5)
    shared.fetch(here, reference, "file")

    path, _ = here.open(reference, "file")
    assert path.endswith("/a.csv")
    assert Path(path).read_text() == "1,2\n"


def test_a_folder_comes_with_all_its_files(shared, here, tmp_path):
    (tmp_path / "data" / "fr").mkdir(parents=True)
    (tmp_path / "data" / "fr" / "brest.csv").write_text("12\n")
    (tmp_path / "data" / "empty").write_text("")
    reference = put(shared, Folder(tmp_path / "data"))

    for _ in range(2):
        shared.fetch(here, reference, "folder")

    path, _ = here.open(reference, "folder")
    assert Path(path, "fr", "brest.csv").read_text() == "12\n"
    assert Path(path, "empty").read_text() == ""


def test_what_the_store_lacks_is_named(shared, here):
    reference = Reference(digest=f"sha256:{'0' * 64}", size_bytes=1, name="a")

    for kind in ("file", "folder"):
        with pytest.raises(InputNotFoundError) as caught:
            shared.fetch(here, reference, kind)
        assert caught.value.details["digests"] == [reference.digest]


def test_what_somebody_has_changed_in_the_store_does_not_come(shared, here, tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    reference = put(shared, File(tmp_path / "a.csv"))
    open_store(shared.url).put(f"contents/{reference.hex}", b"9,9\n")

    with pytest.raises(InputNotFoundError):
        shared.fetch(here, reference, "file")

    assert not here.has(reference.hex)
    assert [path for path in here.arriving.iterdir() if not path.name.endswith(".lock")] == []


def test_a_file_that_has_changed_is_not_written(shared, tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")

    with pytest.raises(CorruptObjectError):
        shared.put("0" * 64, str(tmp_path / "a.csv"))
    assert not shared.has("0" * 64, 4)


def test_many_who_want_the_same_bring_it_once(shared, here, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("1,2\n")
    reference = put(shared, File(tmp_path / "a.csv"))
    brought = []
    bring = shared._bring_one
    monkeypatch.setattr(shared, "_bring_one", lambda store, sha256: (brought.append(sha256), bring(store, sha256)))

    threads = [threading.Thread(target=shared.fetch, args=(here, reference, "file")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert brought == [reference.hex]
