"""What the store in a folder promises beyond the contract: its files, full disks, and what the killed leave."""

import os
import subprocess
import time

import pytest

from skerry.errors import CorruptObjectError, StorageError
from skerry.store.objects import open_store
from skerry.store.objects.folder import LEFTOVER_AGE_S

MIB = 2**20


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def make_old(path):
    long_ago = time.time() - LEFTOVER_AGE_S - 60
    os.utime(path, (long_ago, long_ago), follow_symlinks=False)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def test_an_object_is_a_plain_file_behind_a_link_of_its_name(folder_store, root):
    folder_store.put("models/digits/model.onnx", b"weights")
    place = root / "models@" / "digits@" / "model.onnx"
    assert place.read_bytes() == b"weights"
    assert place.resolve().parent == place.parent
    assert place.stat().st_mode & 0o222 == 0
    assert len(files(root)) == 2


def test_a_copied_or_moved_folder_is_the_same_store(folder_store, root, tmp_path):
    folder_store.put("a/b", b"sea")
    subprocess.run(["cp", "-a", root, tmp_path / "copy"], check=True)
    root.rename(tmp_path / "moved")
    assert open_store(tmp_path / "copy").get("a/b") == open_store(tmp_path / "moved").get("a/b") == b"sea"


def test_nothing_is_left_of_what_was_overwritten_or_deleted(folder_store, root):
    for n in range(5):
        folder_store.put("a/b", str(n).encode())
    assert len(files(root)) == 2
    folder_store.put_if_absent("a/b", b"late")
    assert len(files(root)) == 2
    folder_store.delete("a/b")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "empty"])
def test_damaged_bytes_are_found_when_they_are_read(folder_store, root, damage):
    data = bytes(range(256)) * 100
    folder_store.put("a", data)
    place = root / "a"
    place.resolve().chmod(0o644)
    place.write_bytes({"changed": b"!" + data[1:], "shorter": data[:-1], "longer": data + b"!", "empty": b""}[damage])
    with pytest.raises(CorruptObjectError, match=r"object a in file://.*SHA-256"):
        folder_store.get("a")
    read = []
    with pytest.raises(CorruptObjectError):
        read.extend(folder_store.stream("a", chunk_bytes=1000))
    assert len(b"".join(read)) < len(data)
    assert [info.key for info in folder_store.list()] == ["a"]
    folder_store.put("a", data)
    assert folder_store.get("a") == data


def test_what_is_not_of_the_layout_is_refused_and_can_be_replaced(folder_store, root, tmp_path):
    folder_store.put("plain", b"")
    (root / "plain").unlink()
    (root / "plain").write_bytes(b"copied without links")
    (root / "away").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_bytes(b"secret")
    folder_store.put("gone", b"sea")
    (root / "gone").resolve().unlink()
    for key, why in {"plain": "plain file", "away": "not at bytes of this store", "gone": "bytes are gone"}.items():
        with pytest.raises(CorruptObjectError, match=why):
            folder_store.get(key)
        with pytest.raises(CorruptObjectError, match=why):
            folder_store.describe(key)
        assert not folder_store.put_if_absent(key, b"")
    assert [info.key for info in folder_store.list()] == ["away", "gone", "plain"]
    for key in ("plain", "away", "gone"):
        folder_store.put(key, b"new")
        assert folder_store.get(key) == b"new"
        assert folder_store.delete(key)
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_other_files_in_the_folder_are_no_objects(folder_store, root):
    folder_store.put("a", b"")
    (root / "lost+found").mkdir()
    (root / "with space").write_bytes(b"")
    (root / "@new.0123").write_bytes(b"")
    assert [info.key for info in folder_store.list()] == ["a"]


def test_a_reader_that_has_begun_goes_on_when_the_object_is_gone(folder_store):
    folder_store.put("a", b"0123456789")
    pieces = folder_store.stream("a", chunk_bytes=2)
    first = next(pieces)
    folder_store.put("a", b"new")
    folder_store.delete("a")
    assert first + b"".join(pieces) == b"0123456789"


def test_a_sweep_removes_what_the_killed_have_left_and_nothing_else(folder_store, root, start_writer):
    folder_store.put("a/kept", b"kept")
    killed, alive = (start_writer("hang", str(root), f"a/{name}") for name in ("killed", "alive"))
    for writer in (killed, alive):
        writer.begin()
        assert writer.hear() == "begun"
        writer.drafts = [name for name in files(root) if name.startswith("a@/@new.")]
    killed.kill()
    orphan = root / "a@" / f"@{'0' * 64}.{'1' * 16}"
    orphan.write_bytes(b"of a writer that was killed before it made its link")
    link = root / "a@" / "@link.0123"
    link.symlink_to(orphan.name)
    before = files(root)
    assert folder_store.sweep() == 0  # all of it is young
    assert files(root) == before
    for name in before:
        make_old(root / name)
    assert folder_store.sweep() == 3
    left = files(root)
    assert sorted(set(before) - set(left)) == sorted([f"a@/{orphan.name}", f"a@/{link.name}", *killed.drafts])
    assert folder_store.get("a/kept") == b"kept"


def test_the_first_write_beside_them_sweeps_too(folder_store, root):
    folder_store.put("a/b", b"")
    left = root / "a@" / "@new.0123"
    left.write_bytes(b"")
    make_old(left)
    open_store(root).put("a/c", b"")
    assert not left.exists()


def test_a_file_that_may_not_grow_is_an_error_with_figures(folder_store, root, start_writer):
    folder_store.put("a", b"old")
    writer = start_writer("fill", str(root), "a", 3 * MIB)
    writer.begin()
    kind, message = writer.result()
    assert kind == "StorageError"
    assert "object a" in message
    assert "after 3,145,728 bytes" in message
    assert "bytes are free" in message
    assert folder_store.get("a") == b"old"
    assert len(files(root)) == 2


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_an_error_with_figures_and_leaves_no_half_object(tiny_disk):
    store = open_store(tiny_disk)
    store.put("a/old", b"old")
    with pytest.raises(
        StorageError, match=r"object a/new: the disk is full after [\d,]+ bytes.* of 1,048,576 bytes are free"
    ):
        store.put("a/new", (bytes(100_000) for _ in range(20)))
    with pytest.raises(StorageError, match="the disk is full"):
        store.put_if_absent("other/new", bytes(2 * MIB))
    assert [info.key for info in store.list()] == ["a/old"]
    assert len(files(tiny_disk)) == 2
    assert not (tiny_disk / "other@").exists()
    store.put("a/new", bytes(900_000))  # all of the room is there again


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(folder_store, root):
    folder_store.put("a", b"")
    root.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="no permission to write"):
            folder_store.put("b", b"")
    finally:
        root.chmod(0o755)


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path):
    store = open_store(tmp_path / "file" / "store")
    (tmp_path / "file").write_bytes(b"")
    for call in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(StorageError, match=r"file://.*Not a directory"):
            call()
