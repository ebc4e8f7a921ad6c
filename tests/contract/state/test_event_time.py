"""Windows and joins over states: whatever the order in which events come, and whatever is killed."""

import contextlib
import datetime
import json
import subprocess
import sys
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry import Event, Join, Window
from skerry.errors import ConfigError, MalformedBodyError
from skerry.store.state import State, open_state

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FAR_S = 1e11
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def event(second, name=None, key="k", source="/test"):
    time = START + datetime.timedelta(seconds=second)
    name = uuid.uuid4().hex if name is None else name
    return Event(type="t", source=source, id=name, time=time, data=second, extensions={"partitionkey": key})


def fresh(store):
    return State(lambda: store, f"app/s{uuid.uuid4().hex}")


def at_s(event):
    return (event.time - START).total_seconds()


def take_all(generator, crashes):
    """Go through what is yielded; where the test says so, die before something is dealt with, and let it come again."""
    found = []
    for one in generator():
        if crashes and crashes.pop():
            return found + take_all(generator, crashes)
        found.append(one)
    return found


ARRIVALS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("ab")), min_size=1, max_size=25)
CRASHES = st.lists(st.booleans(), max_size=15)


@FEW
@given(ARRIVALS, st.integers(0, 20), CRASHES)
def test_every_event_is_in_its_window_once_or_counted_as_late(store, arrivals, lateness_s, crashes):
    own = fresh(store)
    window = Window(own, size="10s", lateness=f"{lateness_s}s", now=lambda: FAR_S)
    newest, late, panes = -1000, set(), []
    for number, (second, key) in enumerate(arrivals):
        one = event(second, str(number), key)
        if (second // 10 + 1) * 10 <= newest - lateness_s:
            late.add(one.id)
        newest = max(newest, second)
        panes += take_all(lambda one=one: window.take(one), crashes)
        assert all(end_s(pane) <= newest - lateness_s for pane in panes)
    panes += take_all(lambda: window.advance(event(10_000, "end")), crashes)
    assert window.late == len(late)
    assert len({pane.id for pane in panes}) == len(panes)
    inside = [one.id for pane in panes for one in pane.events]
    assert sorted(inside) == sorted({str(number) for number in range(len(arrivals))} - late)
    for pane in panes:
        assert {one.extensions["partitionkey"] for one in pane.events} == {pane.key}
        assert all(pane.start <= one.time < pane.end for one in pane.events)
        assert [one.time for one in pane.events] == sorted(one.time for one in pane.events)
    assert {kept.key for kept in own.list()} <= {"clock", "late"}


def end_s(pane):
    return (pane.end - START).total_seconds()


STREAMS = st.lists(
    st.tuples(st.sampled_from(["left", "right"]), st.integers(0, 40), st.sampled_from("ab")), min_size=1, max_size=25
)


@FEW
@given(STREAMS, st.integers(0, 10), st.integers(0, 15), CRASHES)
def test_every_two_events_that_go_together_are_one_pair_unless_one_is_late(
    store, arrivals, within_s, lateness_s, crashes
):
    own = fresh(store)
    join = Join(own, within=f"{within_s}s", lateness=f"{lateness_s}s", now=lambda: FAR_S)
    newest, kept, late, pairs = {"left": -1000, "right": -1000}, [], 0, []
    for number, (side, second, key) in enumerate(arrivals):
        one = event(second, str(number), key)
        if second < newest[side] - lateness_s:
            late += 1
        else:
            kept.append((side, one))
        newest[side] = max(newest[side], second)
        pairs += take_all(lambda one=one, side=side: getattr(join, side)(one), crashes)
        if number % 3 == 0:
            assert list(getattr(join, side)(one)) == []  # it comes a second time
            late += second < newest[side] - lateness_s
    wanted = {
        (left.id, right.id)
        for side, left in kept
        for other, right in kept
        if (side, other) == ("left", "right")
        and left.extensions == right.extensions
        and abs(at_s(left) - at_s(right)) <= within_s
    }
    found = [(pair.left.id, pair.right.id) for pair in pairs]
    assert sorted(found) == sorted(wanted)
    assert len({pair.id for pair in pairs}) == len(pairs)
    join.advance(event(10_000, "end"))
    assert {kept.key for kept in own.list()} <= {"clock", "late"}


def test_a_clock_that_is_ahead_makes_late_only_what_is_late_by_the_time_here(state):
    here = [START.timestamp() + 30]
    window = Window(state, size="10s", lateness="10s", now=lambda: here[0])
    assert list(window.take(event(100_000))) == []
    assert list(window.take(event(25))) == []
    assert list(window.take(event(5))) == []
    assert window.late == 1
    here[0] += 10
    (pane,) = window.take(event(40))
    assert [one.data for one in pane.events] == [25]


def test_several_workers_share_a_window(state, another):
    mine, theirs = (Window(one, size="10s", key="subject", now=lambda: FAR_S) for one in (state, another))
    assert list(mine.take(event(1))) == []
    assert list(theirs.take(event(2))) == []
    first, second = mine.take(event(11)), theirs.take(event(12))
    (pane,) = first
    assert [one.data for one in pane.events] == [1, 2]
    assert pane.key == ""
    assert list(second) == []


@pytest.mark.parametrize("options", [{"size": "1us"}, {"size": "32d"}, {"size": "1m", "lateness": "40d"}])
def test_what_is_no_window_is_refused(state, options):
    with pytest.raises(ConfigError, match="must be from"):
        Window(state, **options)
    with pytest.raises(ConfigError, match="no state"):
        Window({}, size="1m")


def test_an_event_without_a_time_is_refused_by_itself(state):
    untimed = Event(type="t")
    with pytest.raises(MalformedBodyError, match="no time"):
        list(Window(state, size="1m").take(untimed))
    with pytest.raises(MalformedBodyError, match="no time"):
        list(Join(state, within="1m").left(untimed))


DIES = """
import json, os, signal, sys
from skerry import Event, Join, Window
from skerry.store.state import State, open_state
url, group, die_at, documents = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.load(sys.stdin)
store = open_state(url)
sums = State(lambda: store, group + "-sums")
window = Window(State(lambda: store, group + "-window"), size="10s", lateness="5s", now=lambda: 1e11)
join = Join(State(lambda: store, group + "-join"), within="3s", lateness="5s", now=lambda: 1e11)
steps = 0
def step():
    global steps
    steps += 1
    if steps == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
for number, document in enumerate(documents):
    if sums.get("done") is not None and number < sums.get("done"):
        continue
    event = Event.from_http({"content-type": "application/cloudevents+json"}, document.encode())
    for pane in window.take(event):
        step()
        with sums.batch(once=pane.id) as batch:
            batch.increment("events", len(pane.events))
            batch.increment("total", sum(one.data for one in pane.events))
        step()
    for pair in (join.left if number % 2 else join.right)(event):
        step()
        with sums.batch(once=pair.id) as batch:
            batch.increment("pairs")
        step()
    step()
    sums.put("done", number + 1)
"""


def test_killed_anywhere_every_event_counts_once(tmp_path):
    events = [event(second + (3 if second % 4 == 0 else 0), f"e{second}") for second in range(40)]
    documents = json.dumps([one.to_structured()[1].decode() for one in events])
    url = str(tmp_path / "state")
    group, deaths = f"app/k{uuid.uuid4().hex[:20]}", 0
    for die_at in (7, 20, 0):
        done = subprocess.run(
            [sys.executable, "-c", DIES, url, group, str(die_at)], input=documents, text=True, check=False, timeout=60
        )
        deaths += done.returncode == -9
    assert done.returncode == 0
    assert deaths == 2
    with contextlib.closing(open_state(url)) as store:
        sums = {key: State(lambda: store, f"{group}-sums").get(key) for key in ("events", "total", "pairs")}
    inside = [one for one in events if at_s(one) < 30]  # the last window is open: nothing is 5 s younger than its end
    assert sums["events"] == len(inside)
    assert sums["total"] == sum(one.data for one in inside)
    pairs = [(left, right) for left in events[1::2] for right in events[::2] if abs(at_s(left) - at_s(right)) <= 3]
    assert sums["pairs"] == len(pairs)
