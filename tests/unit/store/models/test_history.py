import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skerry.errors import ModelInUseError, ModelNotFoundError, ModelRejectedError
from skerry.store.models import AliasTable, HistoryEntry, Stamp, fold

STAMP = Stamp(at=1.0, by="ada@sea", reason="because")
ENTRY = AliasTable().point(1, "production", 3, STAMP)


class Story:
    def __init__(self):
        self.entries = []

    @property
    def table(self):
        return fold(self.entries)

    def tell(self, what, *words):
        entry = getattr(self.table, what)(len(self.entries) + 1, *words, STAMP)
        self.entries.append(entry)
        return entry


@pytest.fixture
def story():
    return Story()


def test_an_alias_points_at_what_was_said_last(story):
    for version in (1, 2, 1):
        story.tell("point", "production", version)
    story.tell("point", "candidate", 2)

    assert story.table.aliases == {"production": 1, "candidate": 2}
    assert [entry.previous for entry in story.entries] == [None, 1, 2, None]


def test_a_rollback_after_a_rollback_goes_further_back(story):
    for version in (1, 2, 3):
        story.tell("point", "production", version)

    assert [story.tell("roll_back", "production").version for _ in range(2)] == [2, 1]
    with pytest.raises(ModelNotFoundError, match="points at version 1, and pointed at nothing before"):
        story.tell("roll_back", "production")


def test_after_a_rollback_a_new_end_begins(story):
    for version in (1, 2):
        story.tell("point", "production", version)
    story.tell("roll_back", "production")
    story.tell("point", "production", 3)

    assert story.tell("roll_back", "production").version == 1


def test_to_say_the_same_again_is_no_step(story):
    for version in (1, 2, 2):
        story.tell("point", "production", version)

    assert story.tell("roll_back", "production").version == 1


def test_a_version_that_comes_twice_is_walked_twice(story):
    for version in (1, 2, 1, 2):
        story.tell("point", "production", version)

    assert [story.tell("roll_back", "production").version for _ in range(3)] == [1, 2, 1]


def test_a_rollback_takes_a_removal_back(story):
    for version in (1, 2):
        story.tell("point", "production", version)
    removed = story.tell("remove", "production")

    assert (removed.version, removed.previous, story.table.aliases) == (None, 2, {})
    assert [story.tell("roll_back", "production").version for _ in range(2)] == [2, 1]


def test_a_rollback_passes_over_deleted_versions(story):
    for version in (1, 2, 1, 3):
        story.tell("point", "production", version)
    story.tell("delete", 2)
    assert story.tell("roll_back", "production").version == 1
    with pytest.raises(ModelNotFoundError, match="nothing before that is still there"):
        story.tell("roll_back", "production")


def test_what_an_alias_points_at_cannot_be_deleted(story):
    story.tell("point", "production", 1)
    story.tell("point", "candidate", 1)

    with pytest.raises(ModelInUseError, match="candidate, production points at it"):
        story.tell("delete", 1)


def test_what_was_deleted_cannot_be_pointed_at_or_deleted_again(story):
    story.tell("delete", 1)

    for words in (("point", "production", 1), ("delete", 1)):
        with pytest.raises(ModelNotFoundError, match="version 1 was deleted by ada@sea: because"):
            story.tell(*words)


@pytest.mark.parametrize("what", ["roll_back", "remove"])
def test_an_alias_that_never_was_is_named(story, what):
    with pytest.raises(ModelNotFoundError, match="no alias 'production'"):
        story.tell(what, "production")


def test_an_entry_comes_back_from_its_json_as_it_was():
    assert HistoryEntry.from_json(ENTRY.to_json()) == ENTRY


@given(data=st.binary(max_size=100))
def test_bytes_are_no_entry(data):
    with pytest.raises(ModelRejectedError):
        HistoryEntry.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"at": "x"},
        {"action": "A"},
        {"alias": ""},
        {"version": -1},
        {"by": None},
        {"reason": "\n"},
        {"x": 1},
    ],
)
def test_a_wrong_entry_is_refused(change):
    with pytest.raises(ModelRejectedError):
        HistoryEntry.from_json(json.dumps({**json.loads(ENTRY.to_json()), **change}).encode())


class Walk(RuleBasedStateMachine):
    """Any order of changes, against the plainest model of an alias: a list of versions that a rollback shortens."""

    def __init__(self):
        super().__init__()
        self.story = Story()
        self.stack = []
        self.pointed = False
        self.deleted = set()

    @rule(version=st.integers(1, 4))
    def point(self, version):
        if version in self.deleted:
            with pytest.raises(ModelNotFoundError):
                self.story.tell("point", "production", version)
            return
        self.story.tell("point", "production", version)
        if self.stack[-1:] != [version]:
            self.stack.append(version)
        self.pointed = True

    @rule()
    def roll_back(self):
        stack = list(self.stack)
        present = stack[-1] if self.pointed else None
        while stack and (stack[-1] == present or stack[-1] in self.deleted):
            stack.pop()
        if not stack:
            with pytest.raises(ModelNotFoundError):
                self.story.tell("roll_back", "production")
            return
        entry = self.story.tell("roll_back", "production")
        assert (entry.version, entry.previous) == (stack[-1], present)
        self.stack, self.pointed = stack, True

    @rule()
    def remove(self):
        if self.pointed:
            self.story.tell("remove", "production")
            self.pointed = False

    @rule(version=st.integers(1, 4))
    def delete(self, version):
        if version not in self.deleted and not (self.pointed and self.stack[-1] == version):
            self.story.tell("delete", version)
            self.deleted.add(version)

    @invariant()
    def agree(self):
        table = self.story.table
        assert table.aliases == ({"production": self.stack[-1]} if self.pointed else {})
        assert not set(table.aliases.values()) & set(table.deleted)


TestWalk = Walk.TestCase
