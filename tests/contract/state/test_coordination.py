"""What every store of states promises to those who work together: batches, transactions, locks, barriers, watching."""

import threading
import time

import pytest

from skerry.errors import ConfigError, DeadlineExceededError, StateConflictError
from skerry.store.state import Change, State, open_state


def send(state, fill, **options):
    """Send a batch that a function fills."""
    with state.batch(**options) as batch:
        fill(batch)
    return batch


def until(condition, wait_s=30):
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        threading.Event().wait(0.005)


class TestBatches:
    def test_a_batch_happens_at_one_moment_and_in_its_order(self, state):
        with state.batch() as batch:
            batch.put("a", 1)
            number = batch.increment("a", 5)
            length = batch.append("l", "x", "y")
            first = batch.pop("l")
            found = batch.get("a")
            batch.delete("a")
            gone = batch.get("a")
            batch.add("s", 1)
            inside = batch.contains("s", 1)
        assert batch.applied
        assert [reply.value for reply in (number, length, first, found, gone, inside)] == [6, 2, "x", 6, None, True]
        versions = {info.version for info in state.list()}
        assert len(versions) == 1

    def test_one_that_fails_leaves_nothing(self, state):
        state.put("text", "x")
        state.append("list", 1)
        before = list(state.list())
        replies = []

        def add_to_text(batch):
            replies.append(batch.put("a", 1))
            batch.append("list", 2)
            batch.delete("text")
            batch.put("text", "y")
            batch.increment("text")

        def mix(batch):
            batch.put("b", 1)
            batch.append("new", 1)
            batch.add("new", 1)

        with pytest.raises(ConfigError, match="counters are whole numbers"):
            send(state, add_to_text)
        with pytest.raises(ConfigError, match="holds a list"):
            send(state, mix)
        with pytest.raises(ConfigError, match="when the batch was sent"):
            _ = replies[0].value
        assert list(state.list()) == before
        assert state.items("list") == [1]

    def test_a_key_that_a_batch_empties_keeps_its_kind_in_it(self, state):
        def mix(batch):
            batch.append("l", 1)
            batch.pop("l")
            batch.add("l", 1)

        with pytest.raises(ConfigError, match="holds a list"):
            send(state, mix)
        assert list(state.list()) == []
        with state.batch() as batch:
            batch.append("l", 1)
            batch.delete("l")
            batch.add("l", 1)
        assert state.members("l") == [1]

    def test_a_check_refuses_the_whole(self, state):
        version = state.put("a", 1)
        with state.batch() as batch:
            batch.put("a", 2)
            batch.check("a", version)  # looks at what was before the batch
            batch.check("b", 0)

        def late(batch):
            batch.put("b", 1)
            batch.check("a", version)

        with pytest.raises(StateConflictError, match="a was changed") as refused:
            send(state, late)
        assert refused.value.details["key"] == "a"
        assert state.get("b") is None

    def test_a_block_that_raises_sends_nothing(self, state):
        with pytest.raises(ZeroDivisionError):
            send(state, lambda batch: batch.put("a", 1 // 0))
        with state.batch() as empty:
            pass
        assert not empty.applied
        assert list(state.list()) == []

    def test_the_same_work_is_done_once(self, state, another):
        for who in (state, another, state):
            with who.batch(once="event/17") as batch:
                batch.increment("n")
            assert batch.applied is (state.get("n") == 1 and who is state and not list(state.list("done")))
            state.put("done", 1)
        assert state.get("n") == 1


class TestTransactions:
    def test_reads_and_writes_hold_together(self, state, another):
        state.put("a", 100)
        state.put("b", 0)
        runs = []

        def move(transaction):
            a, b = transaction.get("a", int), transaction.get("b", int)
            if not runs:
                another.put("a", 50)
            runs.append(a)
            transaction.put("a", a - 10)
            transaction.put("b", b + 10)
            return a - 10

        assert state.transact(move) == 40
        assert runs == [100, 50]
        assert [state.get("a"), state.get("b")] == [40, 10]

    def test_what_is_not_there_must_stay_so(self, state, another):
        def make(transaction):
            if transaction.get("a") is None:
                another.compare_and_set("a", "theirs", version=0)
                transaction.put("a", "mine")

        state.transact(make)
        assert state.get("a") == "theirs"

    def test_money_is_never_lost_by_many_who_move_it(self, url, state):
        names = ["a", "b", "c"]
        for name in names:
            state.put(name, 100)

        def work(seed):
            store = open_state(url)
            own = State(lambda: store, state.group)
            for turn in range(15):
                source, target = names[(seed + turn) % 3], names[(seed + turn + 1) % 3]

                def move(transaction, source=source, target=target):
                    have, there = transaction.get(source, int), transaction.get(target, int)
                    transaction.put(source, have - 1)
                    transaction.put(target, there + 1)

                own.transact(move)
            store.close()

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(state.get(name) for name in names) == 300

    def test_a_check_of_its_own_that_fails_is_told(self, state):
        with pytest.raises(StateConflictError):
            state.transact(lambda transaction: transaction.check("a", 7))


class TestLocks:
    def test_one_has_it_and_its_token_grows(self, state, another):
        mine, theirs = state.lock("door"), another.lock("door")
        first = mine.acquire()
        assert theirs.acquire() is None
        assert mine.release() is True
        second = theirs.acquire()
        assert second.token > first.token
        with pytest.raises(ConfigError, match="is not held"):
            mine.release()
        with (
            pytest.raises(DeadlineExceededError, match=r"was not free within 0.01 s"),
            another.lock("door", wait_s=0.01),
        ):
            pytest.fail("two have the lock")

    def test_who_waits_gets_it_when_it_is_given_back(self, state, another):
        taken = []
        lock = state.lock("door")
        lock.acquire()
        waiter = threading.Thread(target=lambda: taken.append(another.lock("door").acquire(30)))
        waiter.start()
        lock.release()
        waiter.join(30)
        assert taken[0] is not None

    def test_a_late_holder_is_refused_whatever_it_does(self, state, another):
        lock = state.lock("door", ttl_s=0.05)
        lease = lock.acquire()
        state.put("rules", "mine")
        next_lease = another.lock("door", ttl_s=300).acquire(30)
        assert next_lease.token > lease.token
        another.put("rules", "theirs", lease=next_lease)
        for late in (
            lambda: state.put("rules", "late", lease=lease),
            lambda: state.delete("rules", lease=lease),
            lambda: state.increment("n", lease=lease),
            lambda: state.append("l", 1, lease=lease),
            lambda: state.add("s", 1, lease=lease),
            lambda: state.discard("s", 1, lease=lease),
            lambda: state.transact(lambda transaction: transaction.put("rules", "late"), lease=lease),
            lambda: send(state, lambda batch: batch.put("rules", "late"), lease=lease),
            lock.renew,
        ):
            with pytest.raises(StateConflictError, match="somebody else may hold it"):
                late()
        assert lock.release() is False
        assert state.get("rules") == "theirs"
        another.put("rules", "still", lease=next_lease)

    def test_a_lease_that_has_ended_is_refused_when_nobody_else_came(self, state):
        lease = state.lock("door", ttl_s=0.05).acquire()
        until(lambda: not list(state.list("@lock")))
        with pytest.raises(StateConflictError):
            state.put("a", 1, lease=lease)

    def test_a_lock_that_is_renewed_is_kept(self, state, another):
        lock = state.lock("door", ttl_s=500)
        with lock as lease:
            lock.renew()
            state.put("a", 1, lease=lease)
            assert another.lock("door").acquire() is None
        assert another.lock("door").acquire() is not None

    def test_a_lease_is_what_a_lock_gave(self, state):
        with pytest.raises(ConfigError, match="lease"):
            state.put("a", 1, lease=17)

    def test_the_lock_of_a_killed_process_ends_by_itself(self, state, start_process):
        holder = start_process(state.group, "hold").wait_ready()
        holder.go()
        token = int(holder.read_line())
        holder.kill()
        assert state.lock("door").acquire(30).token > token


class TestBarriers:
    def test_parties_wait_for_each_other_in_every_round(self, state, start_process):
        meeting = start_process(state.group, "many", 4, "meet", 4, 3).wait_ready()
        meeting.go()
        assert meeting.finish() == "done\n"
        assert sorted(state.items("seen")) == [[number, 4] for number in range(3) for _ in range(4)]

    def test_one_that_comes_again_is_not_counted_twice(self, state):
        barrier = state.barrier("round-1", 2)
        assert barrier.arrive("a") is False
        assert barrier.arrive("a") is False
        with pytest.raises(DeadlineExceededError, match="were 1 of 2 parties"):
            barrier.wait("a", 0.01)
        assert barrier.arrive("b") is True
        barrier.wait("a")
        with pytest.raises(ConfigError, match="write a number from 1"):
            state.barrier("x", 0)


class TestWatching:
    def test_changes_are_told_as_they_happen(self, state, another):
        state.put("a/old", 1)
        seen = []
        watching = threading.Event()

        def watch():
            changes = state.watch("a/", wait_s=60)
            watching.set()
            for change in changes:
                seen.append(change)
                if change.key == "a/end":
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        watching.wait(30)
        another.put("b", 1)
        # The watch looks once before it waits: what is written until then is what it begins with.
        until(lambda: another.put("a/begin", 1) and seen)
        version = another.append("a/list", 1) and next(iter(another.list("a/list"))).version
        until(lambda: Change(key="a/list", version=version) in seen)
        another.delete("a/old")
        until(lambda: Change(key="a/old", version=0) in seen)
        another.put("a/end", 1)
        watcher.join(30)
        assert not watcher.is_alive()
        assert {change.key for change in seen} <= {"a/begin", "a/list", "a/old", "a/end"}

    def test_a_watch_ends_with_its_time(self, state):
        assert list(state.watch(wait_s=0.05)) == []

    def test_the_end_of_a_key_is_told(self, state):
        for ttl_s in (0.3, 2, 12):  # on a busy machine it may be over before the watch has begun
            state.put("a", 1, ttl_s=ttl_s)
            told = next(state.watch("a", wait_s=ttl_s + 2), None)
            if told is not None:
                break
        assert told == Change(key="a", version=0)


class TestDeath:
    def test_a_killed_writer_loses_nothing_confirmed_and_leaves_nothing_half(self, state, start_process):
        writer = start_process(state.group, "transfer").wait_ready()
        writer.go()
        confirmed = [int(writer.read_line()) for _ in range(50)]
        confirmed += [int(line) for line in writer.kill()]
        left = state.get("left")
        assert left in (confirmed[-1], confirmed[-1] + 1)
        assert state.get("right") == left
        assert state.items("log") == list(range(1, left + 1))
        assert state.get("sum") == left * (left + 1) // 2
        state.put("left", "goes on")
