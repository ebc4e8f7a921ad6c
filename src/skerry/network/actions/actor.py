"""The one way to the network: refuse, try, write down, arm the timer, act, and confirm or take back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skerry.errors import PlatformError, SkerryError, StorageError, UserError
from skerry.network.actions.action import Action
from skerry.network.actions.actuator import Actuator, Hits
from skerry.network.actions.journal import IN_FORCE, Bounds, Entry, Journal, State
from skerry.network.actions.keeper import KeeperHandle
from skerry.network.actions.policy import Policy, find_refusal, spare
from skerry.network.actions.withdrawal import make_actuator, monotonic_s, taken_back, withdraw_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has become of an action.

    Attributes:
        action: The action as it was taken: with what it spares.
        state: What it is now.
        reason: Why.
    """

    action: Action
    state: State
    reason: str


class Actor:
    """Takes actions within a policy. Without ``dry_run=False`` it only says what it would do.

    Args:
        actuator: What carries actions out.
        policy: What no action may ever do.
        folder: Where the journal is; one folder for one actuator.
        dry_run: Whether actions are only tried.
        confirm_s: Seconds after which an action is withdrawn that nobody has confirmed, from 1.
        approval: Whether a person has to approve each action, with :meth:`approve`.
        clock: The machine's monotonic clock, seconds.

    Example:
        ```python
        actor = Actor(actuator, policy, folder, dry_run=False)
        outcome = actor.act(Action(match=match, ttl_s=300, evidence={"syn_per_s": 1520}))
        actor.confirm(outcome.action.id, "the destination is reached again")
        ```
    """

    def __init__(
        self,
        actuator: Actuator,
        policy: Policy,
        folder: Path,
        *,
        dry_run: bool = True,
        confirm_s: float = 10.0,
        approval: bool = False,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        if confirm_s < 1:
            raise UserError(f"confirm_s={confirm_s:g}: give at least 1 s to confirm an action")
        self._actuator = actuator
        self._policy = policy
        self._dry_run = dry_run
        self._confirm_s = confirm_s
        self._approval = approval
        self._clock = clock
        self._journal = Journal(folder)
        if not dry_run:  # another process may act in this folder, within bounds of its own
            self._journal.bind(Bounds(policy=policy, confirm_s=confirm_s))
        self._keeper = KeeperHandle(folder)

    @property
    def journal(self) -> Journal:
        """What was done, and why."""
        return self._journal

    @property
    def keeper_pid(self) -> int | None:
        """Process id of the keeper; None before it was needed."""
        return self._keeper.pid

    def close(self) -> None:
        """Let go. What is confirmed stays for its time to live; the rest is withdrawn as nobody confirms it."""
        in_force = True  # where the journal cannot be read, the keeper is not waited for
        with suppress(StorageError):
            in_force = bool(self._journal.in_force())
        self._keeper.close(wait=not in_force)
        self._journal.close()

    def act(self, action: Action) -> Outcome:
        """Take an action, for as long as the commit-confirm timer runs.

        Args:
            action: What is to be done. Peers of the paths that the machine is managed through and the allow-list's
                sources are spared, whatever it says.

        Returns:
            ``pending`` when it is in force and has to be confirmed, ``waiting`` when a person has to approve it first,
            ``tried`` after a dry run, or ``refused``, with the reason.

        Raises:
            PlatformError: the timer could not be armed, or ended before the action was applied; nothing was done.
            StorageError: the journal cannot be written; nothing was done.
        """
        action = replace(action, match=spare(action.match, self._policy))
        active = [entry.action for entry in self._journal.in_force()]
        refusal = find_refusal(action, active, self._policy) or self._try(action)
        if refusal is not None:
            return self._noted(action, State.REFUSED, refusal)
        if self._dry_run:
            return self._noted(action, State.TRIED, "dry run: nothing was done")
        if self._approval:
            self._open(action, State.WAITING, "a person has to approve it", due_s=0.0)
            return Outcome(action=action, state=State.WAITING, reason="a person has to approve it")
        return self._apply(action, "taken")

    def approve(self, action_id: str, who: str) -> Outcome:
        """Take an action that waits for a person.

        Args:
            action_id: Which.
            who: The person's name, for the audit.

        Raises:
            UserError: it does not wait.
            PlatformError: it could not be applied; nothing was done.
        """
        entry = self._entry(action_id, State.WAITING)
        active = [other.action for other in self._journal.in_force()]
        refusal = find_refusal(entry.action, active, self._policy)
        if refusal is not None:
            self._journal.change(action_id, State.REFUSED, refusal, since=(State.WAITING,))
            return Outcome(action=entry.action, state=State.REFUSED, reason=refusal)
        return self._apply(entry.action, f"approved by {who}", is_waiting=True)

    def confirm(self, action_id: str, reason: str, *, detail: Mapping[str, Any] | None = None) -> None:
        """Let an action stay for its time to live, counted from now; again to renew it.

        Args:
            action_id: Which.
            reason: What was verified, for the audit.
            detail: What was measured.

        Raises:
            UserError: it is not in force any more, or its time had ended: then it is withdrawn.
            PlatformError: it could not be renewed; it is withdrawn when its timer ends.
            StorageError: the journal cannot be written; it is withdrawn when its timer ends.
        """
        entry = self._entry(action_id, *IN_FORCE)
        if entry.due_s <= self._clock():  # the keeper is late, or gone
            self.withdraw(action_id, "its time had ended before it was confirmed")
            raise UserError(f"action {action_id} was withdrawn: its time had ended before it was confirmed")
        ttl_s = entry.action.ttl_s
        self._actuator.renew(entry.action, timeout_s=ttl_s)
        due_s = self._clock() + ttl_s
        try:
            changed = self._journal.change(
                action_id, State.CONFIRMED, reason, since=IN_FORCE, due_s=due_s, detail=detail
            )
        except StorageError:
            with suppress(SkerryError):  # what is not on record does not last: its time-out is as it was
                self._restore(entry)
            raise
        if not changed:
            self._actuator.withdraw(action_id)
            raise UserError(f"action {action_id} was withdrawn at the moment in which it was confirmed")
        if due_s < entry.due_s:  # the keeper sleeps until the later moment
            self._keeper.arm()

    def withdraw(self, action_id: str, reason: str, *, detail: Mapping[str, Any] | None = None) -> bool:
        """Take an action back, exactly.

        Args:
            action_id: Which.
            reason: Why, for the audit.
            detail: What was measured.

        Returns:
            Whether it was still in force, or waited.

        Raises:
            PlatformError: it cannot be taken back now; the keeper tries again.
            StorageError: what was there is taken back, but the journal cannot be written, or an action is being
                applied; a second call does the rest.
        """
        since = (*IN_FORCE, State.WAITING)
        with taken_back(self._journal, self._actuator, action_id) as removed:
            return self._journal.change(action_id, State.WITHDRAWN, reason, since=since, detail=detail) or removed

    def recover(self) -> list[str]:
        """Withdraw what is due and what the journal does not know of, after a death or a restart of the machine.

        It also starts the keeper, so that the first action does not wait for that: call it before anything else. In a
        dry run only what is due is withdrawn: the rest may be the rules of a defence with another folder.

        Returns:
            The ids of what was withdrawn.
        """
        before = {entry.action.id for entry in self._journal.in_force()}
        with ExitStack() as made:
            withdraw_due(self._journal, lambda entry: self._actuator_of(entry, made), now_s=self._clock())
        known = {entry.action.id for entry in self._journal.in_force()}
        strays: list[str] = []
        if not self._dry_run:
            strays = [action_id for action_id in self._actuator.applied() if action_id not in known]
            for action_id in strays:
                self._actuator.withdraw(action_id)
            self._keeper.arm()
        return sorted({*(before - known), *strays})

    def hits(self) -> Mapping[str, Hits]:
        """Return the actions that are in force, with what they have dropped."""
        return self._actuator.applied()

    def state_of(self, action_id: str) -> State | None:
        """Return what an action is now, whoever has changed it; None when the journal does not have it."""
        entry = self._journal.find(action_id)
        return entry.state if entry is not None else None

    def _actuator_of(self, entry: Entry, made: ExitStack) -> Actuator:
        """Return what has applied an entry: an earlier process may have acted in this folder with another actuator."""
        ours = self._actuator
        if (entry.actuator, entry.settings) == (ours.name, json.loads(json.dumps(dict(ours.settings())))):
            return ours
        return made.enter_context(closing(make_actuator(entry.actuator, entry.settings)))

    def _try(self, action: Action) -> str | None:
        try:
            self._actuator.check(action)
        except PlatformError as error:
            return error.message
        return None

    def _restore(self, entry: Entry) -> None:
        left_s = entry.due_s - self._clock()
        if left_s > 0:
            self._actuator.renew(entry.action, timeout_s=left_s)
        else:
            self._actuator.withdraw(entry.action.id)

    def _apply(self, action: Action, reason: str, *, is_waiting: bool = False) -> Outcome:
        self._keeper.arm()  # before the time runs: to start the keeper may take longer than that
        with self._journal.applying():
            due_s = self._clock() + self._confirm_s
            if not is_waiting:
                self._open(action, State.PENDING, reason, due_s=due_s)
            elif not self._journal.change(action.id, State.PENDING, reason, since=(State.WAITING,), due_s=due_s):
                self._entry(action.id, State.WAITING)  # says what another person has decided meanwhile
            try:
                self._keeper.arm()  # it knows of the action
                if self._clock() >= due_s:  # it was started again, or this process was held up
                    raise PlatformError(f"the time of action {action.id} ended before it was applied: nothing was done")
                self._actuator.apply(action, timeout_s=self._confirm_s)
            except Exception as error:  # of an actuator, which may be the caller's own
                self._give_up(action.id, f"it could not be applied: {error}")
                raise
        return Outcome(action=action, state=State.PENDING, reason=reason)

    def _give_up(self, action_id: str, reason: str) -> None:
        """Take back what was applied of an action; where that fails it stays in the journal, for the keeper, as due."""
        state = State.WITHDRAWN
        due_s: float | None = None
        try:
            self._actuator.withdraw(action_id)
        except Exception as error:  # as above
            reason = f"{reason}; nor can it be taken back now: {error}"
            state, due_s = State.PENDING, self._clock()
        # A journal that cannot be written has it as pending still: the keeper withdraws it when its timer ends.
        with suppress(SkerryError):
            self._journal.change(action_id, state, reason, since=IN_FORCE, due_s=due_s)
            if state is State.PENDING:
                self._keeper.arm()

    def _open(self, action: Action, state: State, reason: str, *, due_s: float) -> None:
        actuator = self._actuator
        self._journal.open_entry(
            action, actuator=actuator.name, settings=actuator.settings(), due_s=due_s, state=state, reason=reason
        )

    def _noted(self, action: Action, state: State, reason: str) -> Outcome:
        self._journal.note(action, state, reason)
        return Outcome(action=action, state=state, reason=reason)

    def _entry(self, action_id: str, *states: State) -> Entry:
        entry = self._journal.find(action_id)
        if entry is None or entry.state not in states:
            found = "is not in the journal" if entry is None else f"is {entry.state.value}"
            raise UserError(f"action {action_id} {found}, not {' or '.join(states)}")
        return entry
