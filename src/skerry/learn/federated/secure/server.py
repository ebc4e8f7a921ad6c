"""The coordinator's side of a secure aggregation: a state machine that gives tasks and takes replies; no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from skerry.errors import ConfigError, DataError, InvalidPayloadError, PrivacyError, UnavailableError
from skerry.learn.federated.secure import keys
from skerry.learn.federated.secure.client import pair_seed
from skerry.learn.federated.secure.messages import (
    PHASES,
    KeysReply,
    KeysTask,
    MaskedReply,
    MaskedTask,
    Phase,
    SecureReply,
    SecureTask,
    SharesReply,
    SharesTask,
    Terms,
    UnmaskReply,
    UnmaskTask,
    fingerprint,
)
from skerry.learn.federated.secure.ring import Total, decode
from skerry.learn.federated.secure.shamir import join


class SecureServer:
    """Leads one ceremony: gives each phase's tasks, takes the replies, and unmasks the sum.

    It draws nothing at random. The same replies, with the phases closed at the same places, give the same tasks and the
    same sum: a coordinator that records the replies and who was in each phase goes on after its own death.

    Args:
        terms: As the clients were told.
        job: The run's name.
        round: From 1.
        ceremony: A name that is never used twice for the job.
        clients: Who has trained, and is asked for keys.

    Raises:
        ConfigError: there are more clients than the terms allow.
        UnavailableError: there are fewer than the threshold.

    Example:
        ::

            server = SecureServer(terms, job="demo", round=1, ceremony="demo-1-1", clients=names)
            for _ in PHASES:
                for reply in send(server.tasks()):
                    server.receive(reply)
                server.advance()
            mean = server.total().mean
    """

    def __init__(self, terms: Terms, *, job: str, round: int, ceremony: str, clients: Sequence[str]) -> None:
        keys.require_cryptography()
        if len(set(clients)) != len(clients) or len(clients) > terms.max_clients:
            raise ConfigError(f"{len(clients)} clients: the terms allow {terms.max_clients}, each once")
        self.terms = terms
        self.job = job
        self.round = round
        self.ceremony = ceremony
        self._asked = tuple(sorted(clients))
        self._phase: Phase | None = "keys"
        self._heard: dict[str, str] = {}
        self._keys: dict[str, KeysReply] = {}
        self._shares: dict[str, SharesReply] = {}
        self._survivors: tuple[str, ...] = ()
        self._unmasks: list[UnmaskReply] = []
        self._elements = np.zeros(terms.size + 1, terms.dtype)
        self._total: Total | None = None
        if len(clients) < terms.threshold:
            self._fail_below(len(clients), "have trained")

    @property
    def phase(self) -> Phase | None:
        """Whose replies are taken now; none when the sum is there."""
        return self._phase

    @property
    def waiting(self) -> tuple[str, ...]:
        """Clients of this phase that have not answered; nobody's answer is needed once ``threshold`` have unmasked."""
        if self._phase == "unmask" and len(self._heard) >= self.terms.threshold:
            return ()
        return tuple(name for name in self._asked if name not in self._heard)

    def tasks(self) -> dict[str, SecureTask]:
        """Return this phase's task of each client that takes part in it."""
        return {name: self._task(name) for name in self._asked} if self._phase is not None else {}

    def receive(self, reply: SecureReply) -> None:
        """Take a client's reply; the same one again changes nothing.

        Raises:
            InvalidPayloadError: it is of another job, round, ceremony or phase, or not what was asked.
            PrivacyError: it holds shares that were not asked for.
        """
        mine = (self.job, self.round, self.ceremony, self._phase)
        theirs = (reply.job, reply.round, reply.ceremony, reply.phase)
        for word, own, other in zip(("job", "round", "ceremony", "phase"), mine, theirs, strict=True):
            if own != other:
                self._refuse(f"a reply of {reply.client!r} is of {word} {other!r}, and {own!r} is at work")
        if reply.client not in self._asked:
            self._refuse(f"{reply.client!r} takes no part in phase {self._phase!r}")
        mark = fingerprint(reply)
        if reply.client in self._heard:
            if self._heard[reply.client] != mark:
                self._refuse(f"{reply.client!r} has answered phase {self._phase!r} before, and otherwise")
            return
        if isinstance(reply, KeysReply):
            self._keys[reply.client] = reply
        elif isinstance(reply, SharesReply):
            self._take_shares(reply)
        elif isinstance(reply, MaskedReply):
            self._take_masked(reply)
        else:
            self._take_unmask(reply)
        self._heard[reply.client] = mark

    def advance(self) -> Phase | None:
        """Close the phase: who has not answered has dropped out. Return the next one, or none when the sum is there.

        Raises:
            UnavailableError: fewer clients than the threshold are left; nothing can be unmasked any more.
            DataError: the shares do not give the secrets that they are of.
        """
        if self._phase is None:
            return None
        heard = tuple(name for name in self._asked if name in self._heard)
        if len(heard) < self.terms.threshold:
            self._fail_below(len(heard), f"of {len(self._asked)} have answered phase {self._phase!r}")
        if self._phase == "masked":
            self._survivors = heard
        if self._phase == "unmask":
            self._unmask()
        self._asked, self._heard = heard, {}
        after = PHASES.index(self._phase) + 1
        self._phase = PHASES[after] if after < len(PHASES) else None
        return self._phase

    def total(self) -> Total:
        """Return the sum of the updates of all who have sent a masked one.

        Raises:
            DataError: the last phase has not ended.
        """
        if self._total is None:
            raise DataError(f"{self._where}: there is no sum before phase {PHASES[-1]!r} has ended")
        return self._total

    @property
    def _where(self) -> str:
        return f"secure aggregation of job {self.job!r}, round {self.round}, ceremony {self.ceremony!r}"

    def _refuse(self, reason: str) -> NoReturn:
        raise InvalidPayloadError(f"{self._where}: {reason}")

    def _fail_below(self, count: int, did: str) -> NoReturn:
        # Who has answered the last phase has forgotten its update, so that no second sum can be compared with this one.
        advice = "let the clients train again" if self._phase == "unmask" else "begin another when the clients are back"
        self._phase = None
        raise UnavailableError(
            f"{self._where}: {count} clients {did}, and {self.terms.threshold} are needed: no update is unmasked and "
            f"this ceremony is over; {advice}"
        )

    def _task(self, client: str) -> SecureTask:
        to = {"job": self.job, "round": self.round, "ceremony": self.ceremony, "client": client}
        if self._phase == "keys":
            return KeysTask(**to)
        if self._phase == "shares":
            return SharesTask(**to, keys={name: self._keys[name].keys for name in self._asked})
        if self._phase == "masked":
            return MaskedTask(
                **to, sealed={name: self._shares[name].sealed[client] for name in self._asked if name != client}
            )
        return UnmaskTask(**to, survivors=self._survivors, dropped=self._dropped)

    @property
    def _dropped(self) -> tuple[str, ...]:
        return tuple(name for name in sorted(self._shares) if name not in self._survivors)

    def _take_shares(self, reply: SharesReply) -> None:
        if set(reply.sealed) != set(self._asked) - {reply.client}:
            self._refuse(f"{reply.client!r} has not sent one share to each of the others")
        self._shares[reply.client] = reply

    def _take_masked(self, reply: MaskedReply) -> None:
        if len(reply.masked) != self.terms.masked_bytes:
            self._refuse(
                f"the masked update of {reply.client!r} has {len(reply.masked)} bytes, not {self.terms.masked_bytes}"
            )
        self._elements += np.frombuffer(reply.masked, self.terms.dtype)

    def _take_unmask(self, reply: UnmaskReply) -> None:
        if set(reply.self_shares) & set(reply.key_shares):
            raise PrivacyError(f"{self._where}: {reply.client!r} has sent both kinds of shares of one client")
        if set(reply.self_shares) != set(self._survivors) or set(reply.key_shares) != set(self._dropped):
            self._refuse(f"the shares of {reply.client!r} are not those that were asked for")
        self._unmasks.append(reply)

    def _unmask(self) -> None:
        """Take the masks off, once every secret that this needs was found to be the right one."""
        self_masks = {name: self._recover_self_mask(name) for name in self._survivors}
        private_keys = {name: self._recover_key(name) for name in self._dropped}
        for seed in self_masks.values():
            keys.mask(self._elements, seed, add=False)
        for name, private in private_keys.items():
            for other in self._survivors:
                seed = pair_seed(private, self._keys[other].keys.mask, self.ceremony, name, other)
                keys.mask(self._elements, seed, add=name < other)
        self._total = decode(self._elements, self._survivors, self.terms)

    def _recover_self_mask(self, name: str) -> bytes:
        seed = self._join({reply.client: reply.self_shares[name] for reply in self._unmasks})
        if hashlib.sha256(seed).digest() != self._shares[name].self_mask_digest:
            raise DataError(f"{self._where}: the shares of {name!r}'s self-mask are not of it: one was changed")
        return seed

    def _recover_key(self, name: str) -> bytes:
        private = self._join({reply.client: reply.key_shares[name] for reply in self._unmasks})
        if keys.public_key(private) != self._keys[name].keys.mask:
            raise DataError(f"{self._where}: the shares of {name!r}'s key are not of it: one was changed")
        return private

    def _join(self, shares: dict[str, bytes]) -> bytes:
        places = {name: place for place, name in enumerate(sorted(self._keys), start=1)}
        return join({places[keeper]: share for keeper, share in shares.items()}, threshold=self.terms.threshold)
