"""A state in a few lines: what units of operations do when they come one after the other.

It is a value: running a unit returns another one. Keys that end by themselves are not in it.
"""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from skerry.errors import ConfigError, StateConflictError
from skerry.store.state.operation import COUNTER_LIMIT, Operation, Verb

KINDS = {
    Verb.GET: "value",
    Verb.INCREMENT: "value",
    Verb.APPEND: "list",
    Verb.POP: "list",
    Verb.SLICE: "list",
    Verb.ADD: "set",
    Verb.DISCARD: "set",
    Verb.MEMBERS: "set",
    Verb.CONTAINS: "set",
}
EMPTY = {"list": (), "set": frozenset()}


@dataclass(frozen=True)
class Model:
    """A state: its revision, and kind, content and version of each key."""

    revision: int = 0
    entries: frozenset = frozenset()

    def run(self, operations):
        """Return the state afterwards and the results, or this state and the class of the error."""
        before = dict(self.entries)
        for operation in operations:
            if operation.verb is Verb.CHECK and before.get(operation.key, (None, None, 0))[2] != operation.number:
                return self, StateConflictError
        unit = Unit(self.revision, dict(before))
        try:
            results = [unit.do(operation) for operation in operations]
        except ConfigError:
            return self, ConfigError
        changed = self.revision + 1 if unit.changed else self.revision
        return replace(self, revision=changed, entries=frozenset(unit.entries.items())), results


class Unit:
    def __init__(self, revision, entries):
        self.revision, self.entries = revision, entries
        self.changed = False
        self.emptied = {}

    def do(self, operation):
        key, verb = operation.key, operation.verb
        kind, content, _ = self.entries.get(key, (self.emptied.get(key), None, 0))
        wanted = KINDS.get(verb)
        if (wanted and kind not in (None, wanted)) or (verb is Verb.SIZE and kind == "value"):
            raise ConfigError("kind")
        return getattr(self, f"do_{verb}")(operation, EMPTY.get(wanted) if content is None else content)

    def write(self, key, kind, content):
        self.changed = True
        if content or kind == "value":
            self.entries[key] = (kind, content, self.revision + 1)
        else:
            self.entries.pop(key, None)
            self.emptied[key] = kind

    def do_check(self, operation, content):
        return None

    def do_get(self, operation, content):
        return None if content is None else (content, self.entries[operation.key][2])

    def do_put(self, operation, content):
        self.write(operation.key, "value", operation.values[0])
        self.emptied.pop(operation.key, None)
        return self.revision + 1

    def do_delete(self, operation, content):
        self.emptied.pop(operation.key, None)
        there = self.entries.pop(operation.key, None) is not None
        self.changed |= there
        return there

    def do_increment(self, operation, content):
        if content is not None and content[:1] == b"m":
            raise ConfigError("number")
        number = int(content or 0)
        if max(abs(number), abs(number + operation.number)) > COUNTER_LIMIT:
            raise ConfigError("bounds")
        self.write(operation.key, "value", b"%d" % (number + operation.number))
        return number + operation.number

    def do_append(self, operation, content):
        self.write(operation.key, "list", content + operation.values)
        return len(content) + len(operation.values)

    def do_pop(self, operation, content):
        if not content:
            return None
        self.write(operation.key, "list", content[:-1] if operation.number else content[1:])
        return content[-1 if operation.number else 0]

    def do_slice(self, operation, content):
        return list(content[operation.number : operation.stop])

    def do_add(self, operation, content):
        new = set(operation.values) - content
        if new:
            self.write(operation.key, "set", content | new)
        return len(new)

    def do_discard(self, operation, content):
        gone = content & set(operation.values)
        if gone:
            self.write(operation.key, "set", content - gone)
        return len(gone)

    def do_members(self, operation, content):
        return sorted(content)

    def do_contains(self, operation, content):
        return operation.values[0] in content

    def do_size(self, operation, content):
        return 0 if content is None else len(content)

    def do_revision(self, operation, content):
        return self.revision

    def do_scan(self, operation, content):
        found = sorted((key, entry) for key, entry in self.entries.items() if key.startswith(operation.key))
        page = [(key, kind, version, None) for key, (kind, _, version) in found if key > operation.after]
        return page[: operation.number]


values = st.sampled_from([b"0", b"7", b"-3", b"m\xa1a", b"m\x90", b"%d" % 2**53, b"%d" % (2**53 + 1)])
several = st.lists(values, min_size=1, max_size=3).map(tuple)


def operations(keys):
    """Return a strategy for operations on some keys."""
    key = st.sampled_from(keys)
    place = st.integers(-4, 4)
    return st.one_of(
        st.builds(Operation, verb=st.sampled_from([Verb.GET, Verb.DELETE, Verb.MEMBERS, Verb.SIZE]), key=key),
        st.builds(Operation, verb=st.just(Verb.PUT), key=key, values=values.map(lambda value: (value,))),
        st.builds(Operation, verb=st.just(Verb.CONTAINS), key=key, values=values.map(lambda value: (value,))),
        st.builds(
            Operation, verb=st.just(Verb.INCREMENT), key=key, number=st.sampled_from([1, -2, 0, 2**53, -(2**53)])
        ),
        st.builds(Operation, verb=st.sampled_from([Verb.APPEND, Verb.ADD, Verb.DISCARD]), key=key, values=several),
        st.builds(Operation, verb=st.just(Verb.POP), key=key, number=st.sampled_from([0, -1])),
        st.builds(Operation, verb=st.just(Verb.SLICE), key=key, number=place, stop=st.none() | place),
        st.builds(
            Operation,
            verb=st.just(Verb.SCAN),
            key=st.sampled_from(["", keys[0][:1]]),
            after=st.just("") | key,
            number=st.integers(1, 3),
        ),
        st.builds(Operation, verb=st.just(Verb.REVISION)),
        st.builds(Operation, verb=st.just(Verb.CHECK), key=key, number=st.integers(0, 6)),
    )
