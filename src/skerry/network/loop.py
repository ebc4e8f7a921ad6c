"""The closed loop: sense, features, detect, decide, act, verify, roll back. Each part can be replaced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from skerry.errors import SkerryError
from skerry.network.actions import Action, Actor, Address, Hits, State, action_words
from skerry.network.actions.withdrawal import describe, monotonic_s
from skerry.network.detection import (
    Decision,
    DecisionRules,
    Detector,
    EndRules,
    Ordinary,
    Reading,
    Traffic,
    Verdict,
    decide,
    has_ended,
)
from skerry.network.memory import Destination, Memory, Mitigation, Passing
from skerry.network.sight import Sight
from skerry.network.verification import EffectVerification, Finding, Verification

logger = logging.getLogger(__name__)

# So long a window says of a rule that it lets an attack through, where no later one follows.
LEAST_PASSING_S = 1.0

# Waits for windows that have ended, at most so many seconds. What it raises is told, and it is asked again, unless that
# is a SkerryError with `ended=True`: it will never give a window again.
Sensor = Callable[[float], Sequence[Traffic]]
Decide = Callable[[Traffic, Ordinary, Verdict], Decision | None]


class Step(StrEnum):
    """What the loop did."""

    DETECTED = "detected"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    TRIED = "tried"
    WAITING = "waiting"
    ACTED = "acted"
    VERIFIED = "verified"
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    BLIND = "blind"
    SEEING = "seeing"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that the loop did.

    Attributes:
        step: What.
        at_s: When, seconds on the machine's monotonic clock.
        destination: About which destination; None where it is about all of them.
        reason: Why, with numbers.
        action_id: About which action; empty before there is one.
        rule: What that does, in words; empty before there is one.
    """

    step: Step
    at_s: float
    destination: Address | None
    reason: str
    action_id: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRules:
    """How the loop goes about it.

    Attributes:
        ttl_s: Time to live of its actions; one that still drops packets is renewed after half of that.
        verify_s: Seconds within which an action has to be verified; below the actor's `confirm_s`.
        tend_s: How often actions in force are looked at.
        relapse_s: An attack within so many seconds after the end of one is the same one.
        decision: What decisions are measured by.
        end: When an attack counts as ended.
    """

    ttl_s: float = 300.0
    verify_s: float = 5.0
    tend_s: float = 0.25
    relapse_s: float = 300.0
    decision: DecisionRules = field(default_factory=DecisionRules)
    end: EndRules = field(default_factory=EndRules)


class Loop:
    """Watches destinations and defends them.

    Args:
        actor: The one way to the network; it holds the policy, and is a dry run, or asks a person, or is neither.
        detector: Says whether a window is an attack.
        decide_rule: Decides what is done; None for the narrowest rule.
        verification: Says whether an action does what it was taken for; None to look at what it drops.
        rules: How the loop goes about it.
        tell: Is told everything that the loop did, of an attack only once its rule is in force. What it raises is
            logged, and the defence goes on.
        clock: The machine's monotonic clock, seconds.
        pause: Waits for so many seconds.
    """

    def __init__(
        self,
        actor: Actor,
        detector: Detector,
        *,
        decide_rule: Decide | None = None,
        verification: Verification | None = None,
        rules: LoopRules | None = None,
        tell: Callable[[Happening], None] | None = None,
        clock: Callable[[], float] = monotonic_s,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._actor = actor
        self._detector = detector
        self._rules = rules if rules is not None else LoopRules()
        self._decide = decide_rule if decide_rule is not None else self._narrowest
        self._verification = verification if verification is not None else EffectVerification()
        self._tell = tell if tell is not None else lambda happening: None
        self._clock = clock
        self._pause = pause
        self._memory = Memory()
        self._sight = Sight()

    def run(self, sensor: Sensor, stopped: Callable[[], bool]) -> None:
        """Go round until told to stop. What is in force then is withdrawn when nobody renews it.

        A sensor that fails is told as blind, and asked again; what is in force is looked after meanwhile.

        Args:
            sensor: Gives windows that have ended.
            stopped: Whether to stop.

        Raises:
            SkerryError: the sensor has ended for good, or what an earlier loop has left cannot be withdrawn.
        """
        self._actor.recover()
        tended_s = self._clock()
        while not stopped():
            windows = self._sense(sensor)
            for one in [[window] for window in windows] or [[]]:  # what is in force does not wait for many windows
                self.look(one)
                if self._clock() - tended_s >= self._rules.tend_s:
                    self.tend()
                    tended_s = self._clock()

    def known(self, destination: Address) -> Collection[Address]:
        """Return the sources of a destination's latest quiet windows, for sensors; it changes with each window."""
        return self._memory.of(destination).known()

    def look(self, windows: Sequence[Traffic]) -> None:
        """Judge windows that have ended: learn from the quiet ones, act on the others.

        One that cannot be judged is told as failed: records are forged easily, and must not end the defence.
        """
        for window in windows:
            try:
                self._judge(window)
            except Exception as error:  # detectors and decisions are replaceable, and may raise anything
                logger.exception("a window of %s could not be judged", window.destination)
                self._note(Step.FAILED, f"a window could not be judged: {describe(error)}", window.destination)

    def tend(self) -> None:
        """Look after actions in force: verify, renew, withdraw."""
        watched = [(memory, item) for memory in self._memory for item in memory.mitigations]
        if not watched:
            return
        try:
            hits = self._actor.hits()
        except Exception as error:  # the keeper withdraws what is not confirmed in time
            logger.warning("what the rules in force drop cannot be told now: %s", describe(error))
            return
        now_s = self._clock()
        for memory, mitigation in watched:
            try:
                self._tend_one(memory, mitigation, now_s, hits.get(mitigation.action.id))
                mitigation.failure = ""
            except Exception as error:  # verifications are replaceable, and may raise anything
                self._tell_failure(mitigation, error)

    def _sense(self, sensor: Sensor) -> Sequence[Traffic]:
        """Return windows that have ended; none where the sensor fails, after a pause."""
        try:
            windows = sensor(self._rules.tend_s)
        except Exception as error:  # it is replaceable, and may raise anything
            if isinstance(error, SkerryError) and error.details.get("ended"):
                raise
            if self._sight.failed(error, self._clock()):
                logger.warning("the sensor has failed, and is asked again", exc_info=error)
                self._note(Step.BLIND, f"the sensor has failed, and is asked again: {describe(error)}")
            self._pause(self._sight.pause_s(self._rules.tend_s))
            return ()
        failures = self._sight.worked(self._clock())
        if failures:
            self._note(Step.SEEING, f"the sensor works again, after it has failed {failures} times")
        return windows

    def _judge(self, window: Traffic) -> None:
        memory = self._memory.of(window.destination)
        left = memory.left(window)
        verdict = self._detector.judge(left)
        memory.passing = self._passing(left, memory, verdict)
        if verdict.alarm:
            self._memory.forget_onset(window)
            self._answer(left, memory, verdict)
        elif not memory.mitigations:
            self._detector.learn(window)
            self._memory.remember(window, verdict.score)
            memory.said = None

    def _passing(self, left: Traffic, memory: Destination, verdict: Verdict) -> Passing | None:
        """Return what comes through the rules in force; None where there are none, or it is no attack.

        Suspects may be what was there before: half-open connections, of which a window tells with any new client.
        """
        in_force = any(mitigation.readings for mitigation in memory.mitigations)
        if not verdict.alarm or verdict.suspects or not in_force:
            return None
        until_s = self._clock() + max(LEAST_PASSING_S, 2 * left.length_s)
        return Passing(kinds=verdict.kinds, reason=verdict.reason, until_s=until_s)

    def _narrowest(self, window: Traffic, ordinary: Ordinary, verdict: Verdict) -> Decision | None:
        rules = self._rules.decision
        return decide(
            window, ordinary, kinds=verdict.kinds, suspects=verdict.suspects, score=verdict.score, rules=rules
        )

    def _answer(self, window: Traffic, memory: Destination, verdict: Verdict) -> None:
        now_s = self._clock()

        def say(step: Step, reason: str, action: Action | None = None) -> None:
            about = {} if action is None else {"action_id": action.id, "rule": action_words(action)}
            self._report(Happening(step=step, at_s=now_s, destination=window.destination, reason=reason, **about))

        decision = self._decide(window, memory.ordinary(), verdict)
        if decision is None:
            say(Step.UNDECIDED, f"{verdict.reason}; no rule stops it and spares the rest")
            return
        if memory.is_answered(decision.match):
            return
        evidence = {"verdict": verdict.reason, **verdict.evidence, **decision.evidence(), "features": window.features}
        action = Action(match=decision.match, limit=decision.limit, ttl_s=self._rules.ttl_s, evidence=evidence)
        try:
            outcome = self._actor.act(action)
        except Exception as error:  # actuators are replaceable, and may raise anything
            say(Step.DETECTED, verdict.reason)
            say(Step.FAILED, describe(error), action)
            return
        if outcome.state in (State.PENDING, State.WAITING):
            soon = memory.ended_s is not None and now_s - memory.ended_s <= self._rules.relapse_s
            memory.relapses = memory.relapses + 1 if soon else 0
            mitigation = Mitigation(action=outcome.action, decision=decision)
            if outcome.state is State.PENDING:
                mitigation.readings.append(Reading(at_s=self._clock(), packets=0))
            memory.mitigations.append(mitigation)
        else:
            memory.said = decision.match
        # Whoever is told may be slow: the rule comes first.
        say(Step.DETECTED, verdict.reason)
        steps = {State.PENDING: Step.ACTED, State.WAITING: Step.WAITING, State.TRIED: Step.TRIED}
        say(steps.get(outcome.state, Step.REFUSED), outcome.reason, outcome.action)

    def _tend_one(self, memory: Destination, mitigation: Mitigation, now_s: float, hits: Hits | None) -> None:
        state = self._actor.state_of(mitigation.action.id)
        if state is State.WAITING:
            return
        if not mitigation.readings:  # it has just been approved
            mitigation.readings.append(Reading(at_s=now_s, packets=0))
        if state not in (State.PENDING, State.CONFIRMED):
            self._forget(memory, mitigation, "it is not in force any more")
        elif hits is not None:
            mitigation.readings.append(Reading(at_s=now_s, packets=hits.packets))
            self._follow(memory, mitigation, now_s, counted=hits.counted)
        # What was approved in another process may be about to be applied there.
        elif state is State.CONFIRMED or now_s - mitigation.readings[0].at_s >= self._rules.verify_s:
            self._roll_back(memory, mitigation, "nothing is left of it in force")

    def _follow(self, memory: Destination, mitigation: Mitigation, now_s: float, *, counted: bool) -> None:
        if mitigation.renewed_s is None:
            self._verify(memory, mitigation, now_s)
        elif not counted:
            return  # whether the attack goes on is seen when its time to live has ended
        elif has_ended(
            mitigation.readings,
            self._rules.end,
            relapses=memory.relapses,
            attack_per_s=mitigation.decision.attack_per_s,
        ):
            self._roll_back(memory, mitigation, "the attack has ended: its rule drops next to nothing")
        elif now_s - mitigation.renewed_s >= self._rules.ttl_s / 2:
            self._confirm(mitigation, Step.RENEWED, "the attack goes on", now_s)

    def _verify(self, memory: Destination, mitigation: Mitigation, now_s: float) -> None:
        finding = self._verification(mitigation.decision, mitigation.readings)
        passing = memory.passing if memory.passing is not None and now_s <= memory.passing.until_s else None
        still = passing is not None and mitigation.decision.kind in passing.kinds
        if finding is Finding.PASSED and not still:
            self._confirm(mitigation, Step.VERIFIED, "it drops what it was taken for", now_s)
        elif finding is Finding.FAILED:
            self._roll_back(memory, mitigation, "the verification has failed")
        elif now_s - mitigation.readings[0].at_s >= self._rules.verify_s:
            why = f": what it lets pass is still an attack: {passing.reason}" if passing is not None and still else ""
            self._roll_back(memory, mitigation, f"it was not verified within {self._rules.verify_s:g} s{why}")

    def _confirm(self, mitigation: Mitigation, step: Step, reason: str, now_s: float) -> None:
        dropped = mitigation.readings[-1].packets
        self._actor.confirm(mitigation.action.id, reason, detail={"dropped_packets": dropped})
        mitigation.renewed_s = now_s
        self._say(step, mitigation, f"{reason}: {dropped} packets so far")

    def _roll_back(self, memory: Destination, mitigation: Mitigation, reason: str) -> None:
        dropped = mitigation.readings[-1].packets
        self._actor.withdraw(mitigation.action.id, reason, detail={"dropped_packets": dropped})
        self._forget(memory, mitigation, reason)

    def _forget(self, memory: Destination, mitigation: Mitigation, reason: str) -> None:
        memory.mitigations.remove(mitigation)
        memory.ended_s = self._clock()
        self._say(Step.WITHDRAWN, mitigation, reason)

    def _tell_failure(self, mitigation: Mitigation, error: Exception) -> None:
        """Tell what has failed with an action in force: once, since it is tried again with the next look at it."""
        reason = describe(error)
        if reason == mitigation.failure:
            return
        mitigation.failure = reason
        logger.warning("action %s: %s", mitigation.action.id, reason)
        self._say(Step.FAILED, mitigation, reason)

    def _note(self, step: Step, reason: str, destination: Address | None = None) -> None:
        self._report(Happening(step=step, at_s=self._clock(), destination=destination, reason=reason))

    def _say(self, step: Step, mitigation: Mitigation, reason: str) -> None:
        action = mitigation.action
        self._report(
            Happening(
                step=step,
                at_s=self._clock(),
                destination=action.match.destination.network_address,
                reason=reason,
                action_id=action.id,
                rule=action_words(action),
            )
        )

    def _report(self, happening: Happening) -> None:
        try:
            self._tell(happening)
        except Exception:  # it is the caller's, and may raise anything
            logger.exception("nobody could be told that the loop %s: %s", happening.step, happening.reason)
