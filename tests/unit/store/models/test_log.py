"""Writers of one log that are slower than others, or lose the answer to their own write."""

import pytest

from skerry.errors import ModelInUseError
from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store


class Eventful:
    """A store on which something happens at the next put-if-absent of an entry or a manifest."""

    def __init__(self, store):
        self.store = store
        self.events = []

    def put_if_absent(self, key, data):
        return self.events.pop(0)(key, data) if self.events else self.store.put_if_absent(key, data)

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.fixture
def store(tmp_path):
    return Eventful(open_store(str(tmp_path / "store")))


@pytest.fixture
def repository(store):
    found = ModelRepository(store)
    for content in (b"a", b"b", b"c"):
        found.publish("digits", {"model.onnx": content}, ManifestDraft())
    return found


@pytest.fixture
def other(tmp_path, repository):
    return ModelRepository(open_store(str(tmp_path / "store")))


def lose_the_answer(store):
    def write(key, data):
        assert store.store.put_if_absent(key, data)
        return False

    store.events.append(write)


def be_slower_than(store, faster):
    def write(key, data):
        faster()
        return store.store.put_if_absent(key, data)

    store.events.append(write)


def test_a_writer_that_lost_the_answer_to_its_write_knows_its_own_entry(store, repository):
    lose_the_answer(store)

    assert repository.set_alias("digits", "production", 1).number == 1
    assert len(repository.history("digits")) == 1


def test_a_publisher_that_lost_the_answer_to_its_write_knows_its_own_version(store, repository):
    lose_the_answer(store)

    assert repository.publish("digits", {"model.onnx": b"d"}, ManifestDraft()).version == 4
    assert repository.versions("digits") == [1, 2, 3, 4]


def test_a_slower_writer_takes_the_next_number_and_knows_what_came_before(store, repository, other):
    be_slower_than(store, lambda: other.set_alias("digits", "production", 2))

    entry = repository.set_alias("digits", "production", 3)

    assert (entry.number, entry.previous) == (2, 2)


def test_a_slower_rollback_goes_back_from_what_is_there_by_then(store, repository, other):
    repository.set_alias("digits", "production", 1)
    be_slower_than(store, lambda: other.set_alias("digits", "production", 2))
    repository.set_alias("digits", "production", 3)
    be_slower_than(store, lambda: other.set_alias("digits", "production", 1))

    assert repository.rollback("digits").version == 3


def test_a_version_that_an_alias_is_pointed_at_meanwhile_is_not_deleted(store, repository, other):
    be_slower_than(store, lambda: other.set_alias("digits", "production", 2))

    with pytest.raises(ModelInUseError, match="production points at it"):
        repository.delete("digits", 2)
    assert repository.versions("digits") == [1, 2, 3]


def test_of_two_who_expect_the_same_one_is_told(store, repository, other):
    repository.set_alias("digits", "production", 1)
    be_slower_than(store, lambda: other.set_alias("digits", "production", 2, expected=1))

    with pytest.raises(ModelInUseError, match="points at 2 by now, not at 1"):
        repository.set_alias("digits", "production", 3, expected=1)
