import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DataError, InvalidPayloadError
from skerry.store.inputs import Listing, digest_file, list_folder
from skerry.store.inputs import digests as digests_module

HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAME = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8).filter(
    lambda text: "/" not in text and "\\" not in text and text.isprintable() and text not in (".", "..")
)


def test_a_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"calm sea")
    sha256, stamp = digest_file(str(tmp_path / "a"))
    assert sha256 == hashlib.sha256(b"calm sea").hexdigest()
    assert stamp.size_bytes == 8


def test_a_file_is_read_once_as_long_as_it_stays_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    monkeypatch.setattr(digests_module, "_SETTLED_S", -1.0)  # no waiting for the file system's clock
    first, _ = digest_file(str(path))
    monkeypatch.setattr(digests_module, "read_pieces", lambda *_: pytest.fail("it was read again"))
    assert digest_file(str(path))[0] == first
    monkeypatch.undo()
    path.write_bytes(b"two")
    assert digest_file(str(path))[0] == hashlib.sha256(b"two").hexdigest()


def test_equal_folders_have_equal_digests(tmp_path):
    for name, order in (("x", ("b", "a/c")), ("y", ("a/c", "b"))):
        for place in order:
            path = tmp_path / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(place)
    (tmp_path / "y" / "empty").mkdir()
    first, stamps = list_folder(str(tmp_path / "x"))
    second, _ = list_folder(str(tmp_path / "y"))
    assert first.hex == second.hex
    assert sorted(stamps) == [place for place, _, _ in first.files] == ["a/c", "b"]
    assert first.size_bytes == 4


def test_a_change_of_name_or_content_changes_the_digest(tmp_path):
    (tmp_path / "a").write_text("1")
    before = list_folder(str(tmp_path))[0].hex
    os.rename(tmp_path / "a", tmp_path / "b")
    moved = list_folder(str(tmp_path))[0].hex
    (tmp_path / "b").write_text("2")
    assert len({before, moved, list_folder(str(tmp_path))[0].hex}) == 3


def test_what_is_no_content_is_refused(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="link to a folder"):
        list_folder(str(tmp_path / "f"))
    with pytest.raises(DataError, match=r"skerry\.Folder"):
        digest_file(str(tmp_path / "f"))
    with pytest.raises(DataError, match="cannot be read"):
        digest_file(str(tmp_path / "none"))
    (tmp_path / "a").write_text("1")
    with pytest.raises(DataError, match=r"skerry\.File"):
        list_folder(str(tmp_path / "a"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="regular"):
        digest_file(str(tmp_path / "pipe"))


@given(st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map("/".join), st.tuples(st.integers(0, 2**40), HEX)))
def test_a_listing_comes_back_as_it_was(files):
    listing = Listing(tuple(sorted((place, size, sha256) for place, (size, sha256) in files.items())))
    assert Listing.parse(listing.content) == listing


@given(st.binary())
def test_other_bytes_are_no_listing(content):
    with pytest.raises(InvalidPayloadError):
        Listing.parse(content)


@pytest.mark.parametrize("place", ["../a", "/etc/passwd", "a//b", "a/../b", "", ".", "a/", "a\\b", "a\0b"])
def test_a_listing_leads_nowhere_else(place):
    content = Listing(((place, 1, "0" * 64),)).content
    with pytest.raises(InvalidPayloadError):
        Listing.parse(content)
