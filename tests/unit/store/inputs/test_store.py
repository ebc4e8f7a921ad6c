import hashlib
import json
import os
import time

import pytest

from skerry.errors import CorruptObjectError, InputNotFoundError, InvalidPayloadError
from skerry.payload.file import Reference
from skerry.store.inputs import InputStore, list_folder, stamp_of
from skerry.store.inputs.eviction import evict, used_bytes
from skerry.store.inputs.placing import adopt
from skerry.store.inputs.upload import Upload, absorb


def sha(content):
    return hashlib.sha256(content).hexdigest()


def refer(content, name="a.csv"):
    return Reference(digest=f"sha256:{sha(content)}", size_bytes=len(content), name=name)


def upload(store, content, *, offset=0, until=None, size=None, sha256=None, coded=False):
    one = Upload(
        store,
        sha256 or sha(content),
        size_bytes=len(content) if size is None else size,
        offset_bytes=offset,
        coded=coded,
    )
    one.write(content[offset:until])
    return one


@pytest.fixture
def store(tmp_path):
    return InputStore(tmp_path / "inputs")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"A" * 100)
    (folder / "sub" / "b").write_bytes(b"B" * 50)
    return folder


def put_folder(store, folder):
    listing, _ = list_folder(str(folder))
    for place, _, sha256 in listing.files:
        adopt(store, sha256, str(folder / place))
    adopt(store, listing.hex, listing.content)
    return Reference(digest=f"sha256:{listing.hex}", size_bytes=listing.size_bytes, name="folder")


def age(store):
    """Let everything look as if it was used an hour ago."""
    for top in (store.contents, store.views):
        for path in top.iterdir():
            os.utime(path, (time.time() - 3600, time.time() - 3600))


def test_a_whole_upload_can_be_opened_under_its_name(store):
    assert upload(store, b"calm sea").finish() == 8
    path, hold = store.open(refer(b"calm sea"), "file")
    assert path.endswith("/a.csv")
    with open(path, "rb") as file:
        assert file.read() == b"calm sea"
    assert os.stat(path).st_mode & 0o222 == 0
    hold.close()


def test_an_empty_file_is_a_file_too(store):
    assert upload(store, b"").finish() == 0
    path, _ = store.open(refer(b""), "file")
    assert os.path.getsize(path) == 0


def test_half_an_upload_is_seen_by_nobody_and_goes_on_where_it_broke_off(store):
    upload(store, b"calm sea", until=3).close()
    assert not store.has(sha(b"calm sea"))
    with pytest.raises(InputNotFoundError) as missing:
        store.open(refer(b"calm sea"), "file")
    assert missing.value.details["digests"] == [f"sha256:{sha(b'calm sea')}"]
    assert store.arrived_bytes(sha(b"calm sea")) == 3
    assert upload(store, b"calm sea", offset=3).finish() == 8
    assert store.has(sha(b"calm sea"))


def test_an_upload_that_begins_elsewhere_is_told_where_to_go_on(store):
    upload(store, b"calm sea", until=3).close()
    with pytest.raises(InvalidPayloadError) as error:
        upload(store, b"calm sea", offset=5)
    assert error.value.details == {"received_bytes": 3}


@pytest.mark.parametrize("content", [b"calm seX", b"calm sea!"])
def test_what_is_not_what_its_digest_says_leaves_nothing(store, content):
    with pytest.raises(CorruptObjectError):
        upload(store, content, size=8, sha256=sha(b"calm sea")).finish()
    assert store.arrived_bytes(sha(b"calm sea")) == 0
    assert not store.has(sha(b"calm sea"))


def test_a_compressed_upload_that_was_cut_off_leaves_its_beginning(store):
    zstandard = pytest.importorskip("zstandard", reason="Zstandard is optional")
    content = os.urandom(300_000) + b"calm sea " * 100_000
    coded = zstandard.ZstdCompressor(level=3).compress(content)
    one = Upload(store, sha(content), size_bytes=len(content), offset_bytes=0, coded=True)
    one.write(coded[: len(coded) * 9 // 10])
    one.close()  # as after a crash: nobody has finished it
    absorb(store, sha(content), len(content))
    there = store.arrived_bytes(sha(content))
    assert 0 < there < len(content)
    assert upload(store, content, offset=there).finish() == len(content)
    assert store.has(sha(content))


def test_a_bomb_grows_no_further_than_it_said(store):
    zstandard = pytest.importorskip("zstandard", reason="Zstandard is optional")
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 2**20))
    one = Upload(store, sha(b"x"), size_bytes=1000, offset_bytes=0, coded=True)
    one.write(bomb)
    with pytest.raises(CorruptObjectError):
        one.finish()
    assert used_bytes(store) == 0


def test_a_folder_is_made_of_its_contents(store, folder):
    reference = put_folder(store, folder)
    path, _ = store.open(reference, "folder")
    assert list_folder(path)[0].hex == reference.hex
    assert store.open(reference, "folder")[0] == path


def test_a_folder_of_which_a_file_is_missing_says_which(store, folder):
    reference = put_folder(store, folder)
    (store.contents / sha(b"B" * 50)).unlink()
    with pytest.raises(InputNotFoundError) as error:
        store.open(reference, "folder")
    assert error.value.details["digests"] == [f"sha256:{sha(b'B' * 50)}"]


def test_a_file_is_no_folder(store):
    upload(store, b"calm sea").finish()
    with pytest.raises(InvalidPayloadError, match="listing"):
        store.open(refer(b"calm sea"), "folder")


def test_what_lies_on_this_machine_is_used_where_it_is_until_it_changes(store, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"calm sea")
    store.place(refer(b"calm sea"), str(path), {"": stamp_of(str(path))})
    assert store.open(refer(b"calm sea"), "file") == (str(path), None)
    assert used_bytes(store) == 0
    path.write_bytes(b"high sea")
    with pytest.raises(InputNotFoundError):
        store.open(refer(b"calm sea"), "file")


def test_the_least_recently_used_goes_first(store):
    for at, content in enumerate((b"1" * 100, b"2" * 100, b"3" * 100)):
        upload(store, content).finish()
        os.utime(store.contents / sha(content), (at, at))
    store.open(refer(b"1" * 100), "file")[1].close()
    assert evict(store, 250, spared_s=0) == 200
    assert [store.has(sha(digit * 100)) for digit in (b"1", b"2", b"3")] == [True, False, True]


def test_what_is_in_use_stays(store, folder):
    upload(store, b"calm sea").finish()
    reference = put_folder(store, folder)
    file, file_hold = store.open(refer(b"calm sea"), "file")
    opened, folder_hold = store.open(reference, "folder")
    age(store)
    evict(store, 0, spared_s=0)
    assert os.path.exists(file)
    assert sorted(os.listdir(opened)) == ["a", "sub"]
    file_hold.close()
    folder_hold.close()
    age(store)
    assert evict(store, 0, spared_s=0) == 0
    assert used_bytes(store) == 0
    with pytest.raises(InputNotFoundError):
        store.open(reference, "folder")


def test_what_was_asked_for_just_now_is_spared(store):
    upload(store, b"calm sea").finish()
    assert evict(store, 0) == 8
    assert store.has(sha(b"calm sea"))


def test_labels_outlive_the_content(store):
    store.label([(sha(b"calm sea"), 8)])
    upload(store, b"calm sea").finish()
    age(store)
    evict(store, 0, spared_s=0)
    assert store.is_local(sha(b"calm sea"))
    assert store.local_sizes() == {8}


def test_a_record_that_is_broken_is_none(store, tmp_path):
    store.create()
    (store.places / sha(b"x")).write_text(json.dumps({"path": str(tmp_path)}))
    with pytest.raises(InputNotFoundError):
        store.open(refer(b"x"), "file")
