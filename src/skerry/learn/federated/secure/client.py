"""A client's side of a secure aggregation: a state machine that is given tasks and returns replies; no I/O."""

from __future__ import annotations

import hashlib
import json
import secrets

import numpy as np

from skerry.errors import InvalidPayloadError, PrivacyError
from skerry.learn.federated.secure import keys
from skerry.learn.federated.secure.messages import (
    PHASES,
    Addressed,
    KeysReply,
    KeysTask,
    MaskedReply,
    MaskedTask,
    Phase,
    PublicKeys,
    SecureReply,
    SecureTask,
    SharesReply,
    SharesTask,
    Terms,
    UnmaskReply,
    UnmaskTask,
    fingerprint,
    read_reply,
    write,
)
from skerry.learn.federated.secure.ring import encode
from skerry.learn.federated.secure.shamir import SHARE_BYTES, split
from skerry.learn.federated.secure.state import Answer, ClientState, Secrets
from skerry.learn.federated.wire.parameters import Vector


class SecureClient:
    """Takes part in the secure aggregation of one update.

    Each phase of a ceremony is answered once. The same task again gets the same bytes; another is refused, because two
    answers could give away what one does not. After the last phase the update and the secrets are forgotten, so that no
    second ceremony can be held for the same update: two sums that differ by one client would be that client's update.

    Args:
        state: Where it stands; `begin` makes the first, and `state` is the next after each answer.
        random: Returns that many bytes from a cryptographic source.

    Example:
        ::

            client = SecureClient.begin(terms, job="demo", round=1, client="a", update=delta, examples=120)
            reply = client.answer(task)
            keep(client.state)
    """

    def __init__(self, state: ClientState, *, random: keys.Random = secrets.token_bytes) -> None:
        keys.require_cryptography()
        self.state = state
        self._random = random

    @classmethod
    def begin(  # six words of the task and the reply, all by keyword
        cls,
        terms: Terms,
        *,
        job: str,
        round: int,
        client: str,
        update: Vector,
        examples: int,
        random: keys.Random = secrets.token_bytes,
    ) -> SecureClient:
        """Return a client that holds an update and has said nothing yet.

        Args:
            terms: As the `FitTask` said.
            job: The task's.
            round: The task's.
            client: The task's.
            update: Trained parameters minus those that training began from; clipped to the terms' range.
            examples: Rows that were trained on: the update's weight.
            random: Returns that many bytes from a cryptographic source.

        Raises:
            DataError: the update does not fit the terms.
        """
        elements = encode(update, examples, terms)
        state = ClientState(terms=terms, job=job, round=round, client=client, elements=elements.tobytes())
        return cls(state, random=random)

    def answer(self, task: SecureTask) -> SecureReply:
        """Return the reply to a task, and move on.

        Raises:
            PrivacyError: the answer could give away this client's update or another's, or bytes were forged.
            InvalidPayloadError: the task is of another job, round, ceremony, client or phase.
        """
        if isinstance(task, KeysTask):
            self._enter(task)
        self._check_address(task)
        asked = fingerprint(task)
        given = self.state.answers.get(task.phase)
        if given is not None:
            if given.task != asked:
                raise PrivacyError(f"{self._where}: phase {task.phase!r} was answered to another task; once is all")
            return read_reply(given.reply)
        self._check_turn(task.phase)
        if isinstance(task, KeysTask):
            reply: SecureReply = self._make_keys(task)
        elif isinstance(task, SharesTask):
            reply = self._make_shares(task)
        elif isinstance(task, MaskedTask):
            reply = self._make_masked(task)
        else:
            reply = self._make_unmask(task)
        answers = self.state.answers | {task.phase: Answer(task=asked, reply=write(reply))}
        self._change(answers=answers)
        return reply

    @property
    def _where(self) -> str:
        return f"secure aggregation of job {self.state.job!r}, round {self.state.round}, client {self.state.client!r}"

    def _change(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def _enter(self, task: KeysTask) -> None:
        """Leave an unfinished ceremony for the next one, with new secrets."""
        state = self.state
        if task.ceremony == state.ceremony or (task.job, task.round) != (state.job, state.round):
            return
        self._check_turn(task.phase)
        if task.ceremony in state.past:
            raise PrivacyError(
                f"{self._where}: ceremony {task.ceremony!r} was left for another and is not taken up again"
            )
        past = state.past if state.ceremony is None else (*state.past, state.ceremony)
        self._change(ceremony=task.ceremony, past=past, secrets=None, answers={})

    def _check_address(self, task: Addressed) -> None:
        mine = (self.state.job, self.state.round, self.state.ceremony, self.state.client)
        theirs = (task.job, task.round, task.ceremony, task.client)
        for word, own, other in zip(("job", "round", "ceremony", "client"), mine, theirs, strict=True):
            if own != other:
                raise InvalidPayloadError(
                    f"{self._where}: the task is of {word} {other!r}, and {own!r} is at work here"
                )

    def _check_turn(self, phase: Phase) -> None:
        if "unmask" in self.state.answers:
            raise PrivacyError(f"{self._where}: the update has been summed; no second ceremony is held for it")
        missing = [before for before in PHASES[: PHASES.index(phase)] if before not in self.state.answers]
        if missing:
            raise InvalidPayloadError(f"{self._where}: phase {phase!r} came before {missing[0]!r}")

    @property
    def _secrets(self) -> Secrets:
        if self.state.secrets is None:
            raise InvalidPayloadError(f"{self._where}: no ceremony has begun")
        return self.state.secrets

    def _make_keys(self, task: KeysTask) -> KeysReply:
        own = Secrets(cipher_key=self._random(32), mask_key=self._random(32), self_mask=self._random(32))
        self._change(secrets=own)
        public = PublicKeys(cipher=keys.public_key(own.cipher_key), mask=keys.public_key(own.mask_key))
        return KeysReply(**address(task), keys=public)

    def _make_shares(self, task: SharesTask) -> SharesReply:
        own, terms, me = self._secrets, self.state.terms, self.state.client
        mine = PublicKeys(cipher=keys.public_key(own.cipher_key), mask=keys.public_key(own.mask_key))
        if task.keys.get(me) != mine:
            raise PrivacyError(f"{self._where}: the list of keys does not hold the ones that this client made")
        if not terms.threshold <= len(task.keys) <= terms.max_clients:
            raise PrivacyError(
                f"{self._where}: {len(task.keys)} clients take part; the terms allow from {terms.threshold} to "
                f"{terms.max_clients}"
            )
        if len({each for pair in task.keys.values() for each in (pair.cipher, pair.mask)}) < 2 * len(task.keys):
            raise PrivacyError(f"{self._where}: two clients have the same key")
        names = sorted(task.keys)
        key_shares = split(own.mask_key, threshold=terms.threshold, count=len(names), random=self._random)
        self_shares = split(own.self_mask, threshold=terms.threshold, count=len(names), random=self._random)
        sealed, kept = {}, b""
        for name, key_share, self_share in zip(names, key_shares, self_shares, strict=True):
            if name == me:
                kept = key_share + self_share
                continue
            channel = self._channel(task.keys[name], me, name)
            sealed[name] = keys.seal(
                channel, key_share + self_share, context=_context(task, me, name), random=self._random
            )
        self._change(secrets=own.model_copy(update={"keys": task.keys, "held": {me: kept}}))
        digest = hashlib.sha256(own.self_mask).digest()
        return SharesReply(**address(task), sealed=sealed, self_mask_digest=digest)

    def _make_masked(self, task: MaskedTask) -> MaskedReply:
        own, terms, me = self._secrets, self.state.terms, self.state.client
        strange = sorted(set(task.sealed) - set(own.keys) | ({me} & set(task.sealed)))
        if strange:
            raise PrivacyError(
                f"{self._where}: shares of {strange}, who have no part in this ceremony or need none here"
            )
        if len(task.sealed) + 1 < terms.threshold:
            raise PrivacyError(
                f"{self._where}: {len(task.sealed) + 1} clients have sent shares, and {terms.threshold} are needed: "
                "the update is not sent"
            )
        held = dict(own.held)
        for sender, sealed in task.sealed.items():
            channel = self._channel(own.keys[sender], sender, me)
            held[sender] = keys.unseal(channel, sealed, context=_context(task, sender, me))
            if len(held[sender]) != 2 * SHARE_BYTES:
                raise PrivacyError(f"{self._where}: what {sender!r} sent is no pair of shares")
        elements = np.frombuffer(self.state.elements, terms.dtype).copy()
        keys.mask(elements, own.self_mask, add=True)
        for other in task.sealed:
            seed = pair_seed(own.mask_key, own.keys[other].mask, task.ceremony, me, other)
            keys.mask(elements, seed, add=me < other)
        self._change(secrets=own.model_copy(update={"held": held}))
        return MaskedReply(**address(task), masked=elements.tobytes())

    def _make_unmask(self, task: UnmaskTask) -> UnmaskReply:
        own, terms, me = self._secrets, self.state.terms, self.state.client
        survivors, dropped = set(task.survivors), set(task.dropped)
        both = sorted(survivors & dropped)
        if both or len(survivors) + len(dropped) != len(task.survivors) + len(task.dropped):
            raise PrivacyError(
                f"{self._where}: asked for both kinds of shares of {both}: that would bare their updates"
            )
        if survivors | dropped != set(own.held):
            raise PrivacyError(f"{self._where}: the survivors and the dropped are not those who have sent shares")
        if me not in survivors:
            raise PrivacyError(f"{self._where}: said to have dropped out, but has sent its masked update")
        if len(survivors) < terms.threshold:
            raise PrivacyError(
                f"{self._where}: {len(survivors)} clients are left, and {terms.threshold} are needed: no share is given"
            )
        reply = UnmaskReply(
            **address(task),
            self_shares={name: own.held[name][SHARE_BYTES:] for name in task.survivors},
            key_shares={name: own.held[name][:SHARE_BYTES] for name in task.dropped},
        )
        self._change(secrets=None, elements=b"", answers={})
        return reply

    def _channel(self, other: PublicKeys, sender: str, receiver: str) -> bytes:
        purpose = json.dumps(["shares", sender, receiver])
        return keys.agree(self._secrets.cipher_key, other.cipher, ceremony=self.state.ceremony or "", purpose=purpose)


def address(message: Addressed) -> dict[str, str | int]:
    """Return the words with which an answer to a message begins."""
    return {"job": message.job, "round": message.round, "ceremony": message.ceremony, "client": message.client}


def pair_seed(private: bytes, public: bytes, ceremony: str, one: str, other: str) -> bytes:
    """Return the seed of the mask of two clients, from the private key of one and the public key of the other."""
    return keys.agree(private, public, ceremony=ceremony, purpose=json.dumps(["mask", *sorted((one, other))]))


def _context(task: Addressed, sender: str, receiver: str) -> bytes:
    return json.dumps([task.job, task.round, task.ceremony, sender, receiver]).encode()
