"""Publishers that race, and publishers that are killed."""

import random
import time

import pytest

from benchmarks.models.race import judge, race
from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store
from support.model_processes import start

RACES = 50  # each of two publishers; `python -m benchmarks.models.race` does a thousand
KILLS = 4
PATIENCE_S = 60


def test_two_publishers_at_once_lose_no_entry_and_agree_on_one_order(url):
    told = race(url, RACES)

    repository = ModelRepository(open_store(url))
    turns = [turn for mine in told.values() for turn in mine]
    for numbers in zip(*turns, strict=True):
        assert sorted(numbers) == list(range(1, 2 * RACES + 1))
    assert repository.versions("digits") == list(range(1, 2 * RACES + 1))
    assert judge(url, told) == []


def test_the_judge_of_races_sees_what_is_missing(tmp_path):
    url = str(tmp_path / "store")
    told = race(url, 2)
    store = open_store(url)
    store.put("models/digits/versions/000000005", store.get("models/digits/versions/000000004"))
    store.delete("models/digits/history/000000004")

    problems = judge(
        url, {name: [[version, min(number, 3)] for version, number in mine] for name, mine in told.items()}
    )

    assert problems[:2] == ["the versions are not those from 1 to 4", "the entries are not those from 1 to 4"]
    assert len(problems) == 3


def test_a_killed_publisher_leaves_whole_versions_only_and_stops_nobody(url):
    chance = random.Random(4)
    repository = ModelRepository(open_store(url))
    for _ in range(KILLS):
        before = len(repository.versions("digits"))
        process = start("publish", url, str(chance.random()))
        try:
            process.stdin.write("go\n")
            process.stdin.flush()
            deadline = time.monotonic() + PATIENCE_S
            # It has begun once there is something new; from there, any moment is as good as any other.
            while len(repository.versions("digits")) == before:
                assert time.monotonic() < deadline
            for _ in range(chance.randrange(20)):
                repository.versions("digits")
        finally:
            process.kill()
            process.communicate()

    fresh = ModelRepository(open_store(url))
    # What the killed one had sent to a server may still come into effect, but not once its number is taken.
    last = fresh.publish("digits", {"model.onnx": b"next"}, ManifestDraft()).version
    versions = fresh.versions("digits")
    assert versions == list(range(1, last + 1))
    for version in versions:
        for entry in fresh.manifest("digits", version).files.values():
            assert len(fresh.store.get(f"blobs/sha256/{entry.sha256}")) == entry.size_bytes
    assert fresh.head("digits") == 0


@pytest.mark.parametrize("after", range(4))
def test_a_publisher_that_dies_after_any_write_leaves_nothing_visible(url, after):
    class Dying:
        """A store whose process would be gone after so many writes."""

        def __init__(self, store):
            self.store, self.writes = store, 0

        def _write(self, name, *args):
            if self.writes == after:
                raise KeyboardInterrupt
            self.writes += 1
            return getattr(self.store, name)(*args)

        def put(self, *args):
            return self._write("put", *args)

        def put_if_absent(self, *args):
            return self._write("put_if_absent", *args)

        def __getattr__(self, name):
            return getattr(self.store, name)

    files = {"a": b"a", "b": b"b", "c": b"c"}
    with pytest.raises(KeyboardInterrupt):
        ModelRepository(Dying(open_store(url))).publish("digits", files, ManifestDraft())

    repository = ModelRepository(open_store(url))
    assert (repository.names(), repository.versions("digits"), repository.aliases("digits")) == ([], [], {})
    assert repository.publish("digits", files, ManifestDraft()).version == 1
