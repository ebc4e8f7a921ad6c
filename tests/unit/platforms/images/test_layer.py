import gzip
import io
import os
import random
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError, CorruptObjectError
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.layer import Member, list_members, write_layer

NAMES = st.text("abcxyzäß-_. ", min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "blobs")


def unpack(blobs, layer):
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(blobs.read(layer.digest))))


def fill(folder, names, *, umask, moment):
    before = os.umask(umask)
    try:
        for name in names:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"content of {name}\n")
            os.utime(place, (moment, moment))
        os.utime(folder, (moment, moment))
    finally:
        os.umask(before)
    return folder


def test_the_same_files_give_the_same_layer_whatever_umask_time_order_and_folder(tmp_path, blobs):
    names = ["b.py", "a.py", "deep/er/c.py", "deep/d.txt"]
    first = fill(tmp_path / "one", names, umask=0o077, moment=1_000_000_000)
    second = fill(tmp_path / "another-name", names[::-1], umask=0o000, moment=1_700_000_000)
    made = [write_layer("app", list_members(folder, "app"), blobs) for folder in (first, second)]
    assert made[0] == made[1]


@given(names=st.lists(NAMES, min_size=1, max_size=8, unique=True), seed=st.integers())
def test_the_order_of_members_does_not_matter(tmp_path_factory, names, seed):
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    members = [Member(path=f"app/{name}", source=name.encode()) for name in names]
    shuffled = random.Random(seed).sample(members, len(members))
    assert write_layer("app", members, blobs) == write_layer("app", shuffled, blobs)


def test_a_layer_belongs_to_root_has_no_times_and_has_the_folders_of_its_files(blobs):
    members = [Member(path="opt/skerry/run", source=b"#!x", mode=0o755), Member(path="opt/link", link="skerry/run")]
    layer = write_layer("app", members, blobs)
    with unpack(blobs, layer) as tar:
        infos = tar.getmembers()
        assert [info.name for info in infos] == ["opt", "opt/link", "opt/skerry", "opt/skerry/run"]
        assert {(info.uid, info.gid, info.mtime, info.uname) for info in infos} == {(0, 0, 0, "")}
        assert [oct(info.mode) for info in infos] == ["0o755", "0o777", "0o755", "0o755"]
    assert layer.unpacked_bytes == 3
    assert layer.size_bytes == blobs.path(layer.digest).stat().st_size


def test_only_a_root_file_system_keeps_folders_that_all_may_write_to(tmp_path):
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    assert [member.mode for member in list_members(tmp_path, "")] == [0o755]
    assert [member.mode for member in list_members(tmp_path, "", is_root=True)] == [0o1777]


def test_devices_are_left_out_and_set_user_id_is_dropped(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "su").write_bytes(b"")
    (tmp_path / "su").chmod(0o4755)
    assert [(member.path, member.mode) for member in list_members(tmp_path, "")] == [("su", 0o755)]


def test_a_file_that_is_gone_is_named(tmp_path, blobs):
    with pytest.raises(ConfigError, match="gone"):
        write_layer("app", [Member(path="x", source=tmp_path / "gone")], blobs)
    assert list(blobs.folder.rglob("*.new*")) == []


def test_a_content_that_is_not_what_was_asked_for_is_refused_and_not_kept(blobs):
    expected = "sha256:" + "0" * 64
    with pytest.raises(CorruptObjectError, match="was asked for"), blobs.writing(expect=expected) as file:
        file.write(b"something else")
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "md5:" + "0" * 32, ""])
def test_a_digest_that_is_none_names_no_path(blobs, digest):
    with pytest.raises(CorruptObjectError):
        blobs.path(digest)


def test_what_was_built_is_recalled_only_while_its_layers_are_there(blobs):
    layer = write_layer("app", [Member(path="a", source=b"1")], blobs)
    blobs.remember("key", {"numpy": ["2", "BSD"]}, (layer,))
    assert blobs.recall("key") == ({"numpy": ["2", "BSD"]}, (layer,))
    blobs.path(layer.digest).unlink()
    assert blobs.recall("key") is None
    assert blobs.recall("other") is None
