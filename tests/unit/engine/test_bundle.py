"""Bundles from the network: what was packed comes out, and nothing else does."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skerry.engine.sources import bundle as bundles
from skerry.engine.sources.bundle import Member, digest_of, pack, unpack, write
from skerry.errors import ConfigError, MalformedBodyError

PARTS = st.text("abcäö_-0 .é", min_size=1, max_size=12).filter(lambda part: not part.startswith("."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
MEMBERS = st.builds(Member, PATHS, st.binary(max_size=2000), st.booleans())


def is_tree(members):
    paths = [member.path for member in members]
    parents = {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    return len(set(paths)) == len(paths) and not parents & set(paths)


def tar(*members, form=tarfile.USTAR_FORMAT):
    """Return an archive as ``tar`` makes it, sorted and without owners and times, of ``TarInfo`` and content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        end = archive.offset
    return file.getvalue()[:end] + bytes(1024)


def info(name, **fields):
    made = tarfile.TarInfo(name)
    made.mode = 0o644
    for key, value in fields.items():
        setattr(made, key, value)
    return made


@settings(deadline=None, max_examples=50)
@given(st.lists(MEMBERS, max_size=6))
def test_what_is_packed_is_unpacked(members):
    assume(is_tree(members))

    packed = pack(members)

    assert sorted(unpack(packed), key=lambda m: m.path.encode()) == sorted(members, key=lambda m: m.path.encode())
    assert pack(reversed(members)) == packed
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert sorted(archive.getnames()) == sorted(member.path for member in members)


def test_the_same_files_are_the_same_bundle_and_tar_lists_it(tmp_path):
    packed = pack([Member("b/c.py", b"x = 1\n"), Member("run.sh", b"echo", executable=True)])
    (tmp_path / "bundle.tar").write_bytes(packed)

    listed = subprocess.run(["tar", "-tvf", tmp_path / "bundle.tar"], capture_output=True, text=True, check=True)

    assert "-rw-r--r-- 0/0" in listed.stdout
    assert "-rwxr-xr-x 0/0" in listed.stdout
    assert digest_of(packed) == "sha256-c899cef5680169f809c7dc1a9448bf2ff455aaa5beb1acbdd27b93261f5f7bff"


def test_a_plain_archive_of_another_program_is_a_bundle():
    assert tar((info("a/b.py"), b"x = 1"), (info("c", mode=0o755), b"")) == pack(
        [Member("a/b.py", b"x = 1"), Member("c", b"", executable=True)]
    )


@settings(deadline=None)
@given(st.lists(MEMBERS, max_size=3), st.data())
def test_a_changed_bundle_is_refused_or_has_harmless_files(members, data):
    assume(is_tree(members))
    packed = bytearray(pack(members))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(packed) - 1))
        packed[at] = data.draw(st.integers(0, 255))
    check_harmless(bytes(packed))


@given(st.binary(max_size=3000) | st.lists(st.sampled_from([bytes(512), b"a" * 512]), max_size=8).map(b"".join))
def test_any_bytes_are_refused_or_have_harmless_files(data):
    check_harmless(data)


@settings(deadline=None)
@given(
    st.text(max_size=120).filter(lambda name: "\0" not in name),
    st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"S", b"x"]),
    st.integers(0, 0o7777),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_archives_of_other_programs_are_refused_or_have_harmless_files(name, kind, mode, form):
    try:
        made = tar((info(name, type=kind, mode=mode, linkname="/etc/passwd"), b"x"), form=form)
    except (ValueError, UnicodeError):
        assume(False)
    check_harmless(made)


def check_harmless(data):
    try:
        found = list(unpack(data))
    except MalformedBodyError:
        return
    for member in found:
        parts = member.path.split("/")
        assert all(part and not part.startswith(".") for part in parts)
        assert not member.path.startswith("/")
    assert is_tree(found)


@pytest.mark.parametrize(
    "member",
    [
        info("../out.py"),
        info("/out.py"),
        info("a/../../out.py"),
        info("a//b.py"),
        info("./a.py"),
        info(".ssh/key"),
        info("a\nb.py"),
        info("a\\b.py"),
        info(""),
        info("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        info("hard", type=tarfile.LNKTYPE, linkname="app.py"),
        info("device", type=tarfile.CHRTYPE),
        info("pipe", type=tarfile.FIFOTYPE),
        info("folder", type=tarfile.DIRTYPE),
        info("sparse", type=tarfile.GNUTYPE_SPARSE),
        info("mode.py", mode=0o4755),
        info("owner.py", uid=1000),
        info("time.py", mtime=1),
        info("name.py", uname="root"),
        info("x" * 300),
    ],
    ids=lambda member: repr(member.name[:20]),
)
def test_hostile_members_are_refused(member):
    form = tarfile.PAX_FORMAT if len(member.name) > 255 else tarfile.USTAR_FORMAT
    hostile = tar((member, b""), form=form)

    with pytest.raises(MalformedBodyError):
        list(unpack(hostile))


@pytest.mark.parametrize("names", [["a", "a"], ["b", "a"], ["a", "a/b"], ["a/b", "a/b/c"]])
def test_files_out_of_order_twice_or_in_a_file_are_refused(names):
    with pytest.raises(MalformedBodyError):
        list(unpack(tar(*((info(name), b"") for name in names))))


def test_a_file_in_a_file_is_refused_when_another_stands_between():
    # "a" < "a-b" < "a/c": the folder comes after a file that sorts between the two.
    with pytest.raises(MalformedBodyError, match="is the folder of 'a/c' too"):
        list(unpack(tar((info("a"), b""), (info("a-b"), b""), (info("a/c"), b""))))


def test_a_size_beyond_the_end_and_too_much_of_anything_are_refused(monkeypatch):
    packed = pack([Member("a.py", b"x" * 600), Member("b.py", b"x" * 600)])
    for end in range(0, len(packed), 256):
        with pytest.raises(MalformedBodyError):
            list(unpack(packed[:end]))
    with pytest.raises(MalformedBodyError):
        list(unpack(packed + bytes(512)))
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 1199)
    with pytest.raises(MalformedBodyError, match="over the limit"):
        list(unpack(packed))
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 1200)
    monkeypatch.setattr(bundles, "LIMIT_FILES", 1)
    with pytest.raises(MalformedBodyError, match="over the limit"):
        list(unpack(packed))


def test_a_path_that_no_bundle_may_have_is_refused_where_it_is_packed():
    for path in ("a" * 101, ".hidden", "a\tb", "b/" + "c" * 160 + "/d" * 60):
        with pytest.raises(ConfigError):
            pack([Member(path, b"")])


def test_files_are_written_closed_to_others_and_over_nothing(tmp_path):
    members = [Member("a/b.py", b"x"), Member("run.sh", b"y", executable=True)]
    (tmp_path / "copy").mkdir()
    write(members, tmp_path / "copy")

    assert (tmp_path / "copy/a/b.py").read_bytes() == b"x"
    assert (tmp_path / "copy/a/b.py").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy/run.sh").stat().st_mode & 0o777 == 0o700
    victim = tmp_path / "victim"
    victim.write_text("old")
    (tmp_path / "other").mkdir()
    Path(tmp_path / "other/a.py").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write([Member("a.py", b"new")], tmp_path / "other")
    assert victim.read_text() == "old"
