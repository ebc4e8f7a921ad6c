"""Publishers that race, and publishers that are killed."""

import random
import time

import pytest

from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store
from support.model_processes import go, start

RACES = 100
KILLS = 8
PATIENCE_S = 60


def test_two_publishers_at_once_lose_no_entry_and_agree_on_one_order(url):
    answers = go([start("race", url, RACES, who) for who in ("ada", "bob")])

    repository = ModelRepository(open_store(url))
    versions, entries = ([number for answer in answers for number in answer[kind]] for kind in (0, 1))
    assert sorted(versions) == repository.versions("digits") == list(range(1, 2 * RACES + 1))
    assert sorted(entries) == [entry.number for entry in repository.history("digits")] == list(range(1, 2 * RACES + 1))
    for who, answer in zip(("ada", "bob"), answers, strict=True):
        mine = [entry for entry in repository.history("digits") if entry.reason == who]
        assert [[entry.version for entry in mine], [entry.number for entry in mine]] == answer
        assert all(repository.manifest("digits", version).about == {"who": who} for version in answer[0])
    previous = [None, *(entry.version for entry in repository.history("digits"))]
    assert [entry.previous for entry in repository.history("digits")] == previous[:-1]


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
    versions = fresh.versions("digits")
    assert versions == list(range(1, len(versions) + 1))
    for version in versions:
        for entry in fresh.manifest("digits", version).files.values():
            assert len(fresh.store.get(f"blobs/sha256/{entry.sha256}")) == entry.size_bytes
    assert fresh.publish("digits", {"model.onnx": b"next"}, ManifestDraft()).version == len(versions) + 1
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
