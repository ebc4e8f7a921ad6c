"""What is particular to files: whole ones alone, each once, also where they come, go and come back."""

import dataclasses
import json
import os

import pytest

from skerry.errors import UnavailableError
from skerry.events.sources.files.inlet import FileInlet
from skerry.events.sources.files.ledger import KEPT_S, Ledger
from skerry.events.sources.files.place import BucketPlace, FolderPlace
from skerry.events.sources.inlet import Intake
from skerry.spec import FileSource
from skerry.store.objects import FolderStore
from support.event_sources import Door, Running, until


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def source(inbox, **options):
    return {"app/inbox": FileSource(url=str(inbox), **{"every": "100ms", "settle": "0s", **options})}


def test_a_file_that_is_open_for_writing_is_waited_for(inbox, tmp_path, run_loop):
    async def work():
        door = Door()
        async with Running(tmp_path, door, source(inbox)):
            with (inbox / "half.csv").open("w") as half:
                half.write("1,")
                half.flush()
                (inbox / "whole.csv").write_text("1,2")
                (inbox / "later.csv").write_text("3,4")
                await until(lambda: len(door.taken) == 2)
                (inbox / "third.csv").write_text("5,6")
                await until(lambda: len(door.taken) == 3)
                assert "half.csv" not in {document["subject"] for document in door.documents}
                half.write("2")
            await until(lambda: len(door.taken) == 4)
        half = door.documents[-1]
        assert half["data"] | {"modified_at": 0} == {
            "key": "half.csv",
            "url": (inbox / "half.csv").as_uri(),
            "path": str(inbox / "half.csv"),
            "size_bytes": 3,
            "modified_at": 0,
        }

    run_loop(work())


def test_names_that_do_not_count_and_names_that_are_no_text(inbox, tmp_path, run_loop):
    async def work():
        door = Door()
        for name in (".hidden.csv", "a.csv.part", "a.tmp", "a.txt"):
            (inbox / name).write_text("x")
        (inbox / ".git").mkdir()
        (inbox / ".git" / "in.csv").write_text("x")
        (inbox / "link.csv").symlink_to("/etc/hostname")
        (inbox / "deep" / "er").mkdir(parents=True)
        (inbox / "deep" / "er" / "fine.csv").write_text("x")
        (inbox / "new\nline.csv").write_text("x")
        (inbox / "new%0Aline.csv").write_text("x")
        (inbox / os.fsdecode(b"latin\xe9.csv")).write_text("x")
        async with Running(tmp_path, door, source(inbox, pattern="*.csv")):
            await until(lambda: len(door.taken) == 4)
        found = {document["subject"]: document["data"]["path"] for document in door.documents}
        assert found == {
            "deep/er/fine.csv": str(inbox / "deep/er/fine.csv"),
            "new%0Aline.csv": str(inbox / "new\nline.csv"),
            "new%250Aline.csv": str(inbox / "new%0Aline.csv"),
            "latin%E9.csv": None,
        }

    run_loop(work())


@pytest.mark.parametrize("modified_at", [3e11, -1e12, 1e30])
def test_a_file_from_beyond_the_years_that_have_a_date_comes_without_one(inbox, tmp_path, modified_at):
    (inbox / "a").write_text("1")
    (found,) = FolderPlace(inbox, "*").files()
    inlet = FileInlet(Intake("app/inbox", Door(), lambda: 0.5), FileSource(url=str(inbox)), tmp_path / "seen.sqlite3")
    document = json.loads(inlet._entry(dataclasses.replace(found, modified_at=modified_at)).document)
    assert (document["subject"], document["data"]["modified_at"]) == ("a", modified_at)
    assert "time" not in document


def test_a_file_that_is_written_anew_is_a_new_one_and_a_folder_that_is_away_makes_no_file_new(
    inbox, tmp_path, run_loop
):
    async def work():
        door = Door()
        (inbox / "a").write_text("1")
        async with Running(tmp_path, door, source(inbox)) as roster:
            await until(lambda: len(door.taken) == 1)
            (inbox / "a").write_text("22")
            await until(lambda: len(door.taken) == 2)
            inbox.rename(tmp_path / "away")
            await until(lambda: "cannot be read" in (roster.describe()[0]["error"] or ""))
            (tmp_path / "away").rename(inbox)
            (inbox / "b").write_text("3")
            await until(lambda: len(door.taken) == 3)
            (inbox / "a").rename(tmp_path / "a")
            (inbox / "c").write_text("4")
            await until(lambda: len(door.taken) == 4)
            (tmp_path / "a").rename(inbox / "a")
            (inbox / "d").write_text("5")
            await until(lambda: len(door.taken) == 5)
        assert [document["subject"] for document in door.documents] == ["a", "a", "b", "c", "d"]
        assert sum(len(call) for call in door.calls) == 5

    run_loop(work())


def test_killed_between_acceptance_and_writing_down_the_same_event_comes_again(inbox, tmp_path, run_loop, monkeypatch):
    async def work():
        door = Door()
        (inbox / "a").write_text("1")
        with monkeypatch.context() as broken:
            broken.setattr(Ledger, "add", _die)
            async with Running(tmp_path, door, source(inbox)):
                await until(lambda: len(door.calls) == 2)
        async with Running(tmp_path, door, source(inbox)):
            await until(lambda: len(door.calls) == 3)
        assert len(door.taken) == 1

    run_loop(work())


def _die(*_):
    raise UnavailableError("killed")


def test_files_that_have_left_are_forgotten_in_the_end_and_those_of_other_sources_stay(tmp_path):
    with Ledger(tmp_path / "seen.sqlite3") as ledger:
        ledger.add("one", {"a": "1", "b": "1", "c": "1"})
        ledger.add("other", {"a": "1"})
        assert ledger.mark("one", gone=["a", "b"], back=[], now_s=1000.0) == []
        assert ledger.mark("one", gone=[], back=["b"], now_s=2000.0) == []
        assert ledger.mark("one", gone=["c"], back=[], now_s=1001.0 + KEPT_S) == ["a"]
        assert ledger.seen("one") == {"b": "1", "c": "1"}
        ledger.keep_only(["one"])
        assert ledger.seen("other") == {}


def test_objects_of_a_store_are_found_as_they_are(tmp_path):
    store = FolderStore(tmp_path / "store")
    store.put("in/a.csv", b"1,2")
    store.put("in/b.txt", b"3")
    (found,) = BucketPlace(store, "*.csv").files()
    assert (found.key, found.size_bytes, found.path) == ("in/a.csv", 3, None)
    assert found.url == store.url + "/in/a.csv"
    before = found.version
    store.put("in/a.csv", b"1,2,3")
    (found,) = BucketPlace(store, "*.csv").files()
    assert found.version != before


def test_a_file_that_changes_after_it_was_found_is_looked_at_again(inbox):
    place = FolderPlace(inbox, "*")
    (inbox / "a").write_text("1")
    (found,) = place.files()
    assert not place.is_written(found)
    (inbox / "a").write_text("22")
    assert place.is_written(found)
    (inbox / "a").unlink()
    assert place.is_written(found)


def test_a_list_of_files_that_cannot_be_read_stops_the_sources_of_files_alone(inbox, tmp_path, run_loop):
    (tmp_path / "seen.sqlite3").write_text("no database" * 100)

    async def work():
        async with Running(tmp_path, Door(), source(inbox)) as roster:
            await until(lambda: "cannot be read or written" in (roster.describe()[0]["error"] or ""))
            roster.follow({})
            assert roster.describe() == []

    run_loop(work())
