"""What becomes of actions while the journal cannot be written: another process holds it, or the disk is full."""

import sqlite3
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from skerry.errors import PlatformError, StorageError, UserError
from skerry.network.actions import Actor, Policy, State, journal, keeper_process
from skerry.network.actions.keeper import KeeperHandle
from skerry.network.actions.keeper_process import Keeper
from skerry.network.actions.withdrawal import RETRY_S, withdraw_due
from skerry.network.detection import BaselineDetector, EndRules
from skerry.network.loop import Loop, LoopRules, Step
from support.actions import some_action
from support.memory_actuator import MemoryActuator
from support.traffic import clients, seeded, syn_flood, window

POLICY = Policy(scope=(ip_network("10.9.0.0/16"),))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Nobody waits for a lock, and there is no second process."""
    monkeypatch.setattr(journal, "BUSY_TIMEOUT_S", 0.0)
    monkeypatch.setattr(KeeperHandle, "arm", lambda self: None)


class World:
    """An actor whose network is in memory, on a clock that the test sets."""

    def __init__(self, folder):
        self.folder = folder
        self.now_s = 1000.0
        self.actuator = MemoryActuator()
        self.actor = Actor(self.actuator, POLICY, folder, dry_run=False, confirm_s=10.0, clock=lambda: self.now_s)

    @contextmanager
    def locked(self):
        """Hold the journal, as a process that hangs in the middle of a transaction."""
        other = sqlite3.connect(self.folder / journal.FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.close()

    def states(self):
        return [entry.state for entry in self.actor.journal.in_force()]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.actor.close()


def test_what_cannot_be_written_down_is_not_done(world):
    with world.locked(), pytest.raises(StorageError, match="locked"):
        world.actor.act(some_action())

    assert world.actuator.timeouts_s == {}
    assert world.actor.journal.audit() == []


def test_an_action_that_failed_while_its_end_cannot_be_written_says_why_and_is_left_to_the_keeper(world):
    holding = world.locked()

    def fail():
        holding.__enter__()
        raise OSError("as the test says")

    world.actuator.on_apply = fail
    with pytest.raises(OSError, match="as the test says"):
        world.actor.act(some_action())

    assert world.actuator.timeouts_s == {}
    assert world.states() == [State.PENDING]
    holding.__exit__(None, None, None)
    world.now_s += 11
    withdraw_due(world.actor.journal, lambda entry: world.actuator, now_s=world.now_s)
    assert world.states() == []


def test_a_confirmation_that_cannot_be_written_down_does_not_last(world):
    action = world.actor.act(some_action(ttl_s=60.0)).action
    world.now_s += 4

    with world.locked(), pytest.raises(StorageError):
        world.actor.confirm(action.id, "verified")

    assert world.actuator.timeouts_s == {action.id: 6.0}
    world.actor.confirm(action.id, "verified")
    assert world.actuator.timeouts_s == {action.id: 60.0}
    assert world.states() == [State.CONFIRMED]


def test_a_withdrawal_that_cannot_be_written_down_is_done_and_written_later(world):
    action = world.actor.act(some_action()).action

    with world.locked(), pytest.raises(StorageError):
        world.actor.withdraw(action.id, "over")

    assert world.actuator.timeouts_s == {}
    assert world.actor.withdraw(action.id, "over")
    assert world.states() == []


def test_all_that_is_due_is_withdrawn_though_no_end_can_be_written(world):
    for number in range(3):
        world.actor.act(some_action(f"10.9.3.{number}"))
    world.now_s += 11
    said = []

    with world.locked():
        wait_s = withdraw_due(world.actor.journal, lambda _: world.actuator, now_s=world.now_s, say=said.append)

    assert wait_s == RETRY_S
    assert world.actuator.timeouts_s == {}
    assert [text for text in said if "is tried again" in text] == said
    assert len(said) == len(world.states()) == 3
    withdraw_due(world.actor.journal, lambda _: world.actuator, now_s=world.now_s)
    assert world.states() == []


def test_a_journal_that_cannot_be_read_ends_neither_the_keeper_nor_the_end_of_the_actor(world, capsys):
    keeper = Keeper(world.folder)
    with sqlite3.connect(world.folder / journal.FILE) as other:
        other.execute("ALTER TABLE actions RENAME TO elsewhere")
    other.close()

    assert [keeper.look(), keeper.look()] == [RETRY_S, RETRY_S]
    assert capsys.readouterr().err.count("the journal of actions cannot be read: no such table") == 1
    world.actor.close()


def test_the_loop_goes_on_takes_no_action_that_is_not_on_record_and_withdraws_what_has_ended(world):
    said = []
    rules = LoopRules(ttl_s=20.0, verify_s=2.0, end=EndRules(quiet_s=2.0))
    loop = Loop(world.actor, BaselineDetector(), rules=rules, tell=said.append, clock=lambda: world.now_s)

    def pass_time(seconds, *parts, dropped_per_s=0):
        for _ in range(int(seconds * 2)):
            world.now_s += 0.5
            world.actuator.packets += dropped_per_s // 2
            loop.look([window(*parts, ended_s=world.now_s)])
            loop.tend()

    def steps():
        found = [happening.step for happening in said]
        said.clear()
        return found

    flood = syn_flood(seeded())
    pass_time(20, clients())
    with world.locked():
        pass_time(1, clients(), flood)
        assert set(steps()) == {Step.DETECTED, Step.FAILED}
        assert world.actuator.timeouts_s == {}
    pass_time(3, clients(), flood, dropped_per_s=2000)
    assert steps() == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
    with world.locked():
        pass_time(12, clients(), flood, dropped_per_s=2000)  # a renewal is due
        assert steps() == [Step.FAILED]
        assert len(world.actuator.timeouts_s) == 1
        pass_time(4, clients())
        assert world.actuator.timeouts_s == {}
        assert Step.WITHDRAWN not in steps()
    pass_time(1, clients())

    assert steps() == [Step.WITHDRAWN]
    assert world.states() == []


def test_a_full_disk_is_told_and_the_journal_is_written_again_when_there_is_room(world):
    database = world.actor.journal._database  # as full as a disk can be without one
    database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
    big = some_action(evidence={"features": "x" * 100_000})

    with pytest.raises(StorageError, match="full"):
        world.actor.act(big)

    database.execute("PRAGMA max_page_count = 100000")
    assert world.actor.act(big).state is State.PENDING


def test_what_is_due_is_not_confirmed_but_withdrawn(world):
    due, late = (world.actor.act(some_action(f"10.9.3.{number}", ttl_s=60.0)).action for number in (2, 3))
    world.actor.confirm(late.id, "verified")
    world.now_s += 60

    for action in (due, late):
        with pytest.raises(UserError, match="its time had ended"):
            world.actor.confirm(action.id, "verified")

    assert world.actuator.timeouts_s == {}
    assert world.states() == []


def test_what_became_due_while_its_confirmation_could_not_be_written_down_is_withdrawn(world, monkeypatch):
    action = world.actor.act(some_action(ttl_s=60.0)).action
    world.now_s += 9
    renew = world.actuator.renew

    def renew_slowly(action, *, timeout_s):
        renew(action, timeout_s=timeout_s)
        world.now_s += 2

    monkeypatch.setattr(world.actuator, "renew", renew_slowly)
    with world.locked(), pytest.raises(StorageError):
        world.actor.confirm(action.id, "verified")

    assert world.actuator.timeouts_s == {}


def test_a_failure_of_any_kind_keeps_no_other_action_from_being_withdrawn(world, monkeypatch):
    actions = [world.actor.act(some_action(f"10.9.3.{number}")).action for number in range(3)]
    withdraw = world.actuator.withdraw

    def fail_once(action_id):
        if action_id == actions[0].id:
            raise ZeroDivisionError("as the test says")
        return withdraw(action_id)

    monkeypatch.setattr(world.actuator, "withdraw", fail_once)
    said = []

    wait_s = withdraw_due(world.actor.journal, lambda _: world.actuator, now_s=world.now_s + 11, say=said.append)

    assert wait_s == RETRY_S
    assert list(world.actuator.timeouts_s) == [actions[0].id]
    (text,) = said
    assert text.endswith("ZeroDivisionError: as the test says")


@pytest.fixture
def keeper(world, monkeypatch):
    """A keeper of three actions whose time has passed."""
    for number in range(3):
        world.actor.act(some_action(f"10.9.3.{number}"))
    monkeypatch.setattr(keeper_process, "monotonic_s", lambda: world.now_s + 11)
    monkeypatch.setattr(keeper_process, "make_actuator", lambda name, settings: world.actuator)
    return Keeper(world.folder)


def test_a_keeper_whose_log_cannot_be_written_withdraws_all_the_same(world, keeper, monkeypatch):
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  # to close it fails
    with monkeypatch.context() as patched, world.locked():
        patched.setattr(keeper_process.sys, "stderr", full)
        assert keeper.look() == RETRY_S
    with suppress(OSError):
        full.close()

    assert world.actuator.timeouts_s == {}


def test_a_keeper_writes_each_failure_once_until_all_has_gone_well(world, keeper, capsys):
    with world.locked():
        for _ in range(5):
            keeper.look()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) == 3
    keeper.look()
    assert world.states() == []
    assert capsys.readouterr().err == ""

    world.actor.act(some_action())
    with world.locked():
        keeper.look()

    assert capsys.readouterr().err.count("is tried again") == 1


def test_a_file_of_rules_that_cannot_be_locked_is_said(tmp_path):
    nftables = pytest.importorskip("skerry.network.actions.nftables")
    try:
        actuator = nftables.NftablesActuator(lock_file=tmp_path / "gone" / "lock")
    except PlatformError as error:
        pytest.skip(error.message)

    with pytest.raises(PlatformError, match="without the lock"):
        actuator.withdraw("any")

    actuator.close()
