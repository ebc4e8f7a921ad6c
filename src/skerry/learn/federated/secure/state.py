"""What a client of a secure aggregation keeps between two phases; it stays at the client's site."""

from __future__ import annotations

from pydantic import Field

from skerry.learn.federated.secure.messages import Key, Name, Phase, PublicKeys, SecureMessage, Terms
from skerry.payload.schema import Schema


class Secrets(SecureMessage):
    """Of one ceremony: never sent, and forgotten when it ends.

    Args:
        cipher_key: Private X25519 key, for the encryption of shares.
        mask_key: Private X25519 key, for the masks that are shared with one other client each.
        self_mask: Seed of the mask that is this client's alone.
        keys: Public keys of all who take part.
        held: Shares of others and of itself, a key share and a self-mask share behind it, by whose secrets they are of.
    """

    cipher_key: Key = Field(repr=False)
    mask_key: Key = Field(repr=False)
    self_mask: Key = Field(repr=False)
    keys: dict[Name, PublicKeys] = Field(default_factory=dict)
    held: dict[Name, bytes] = Field(default_factory=dict, repr=False)


class Answer(SecureMessage):
    """What was answered to which task: the same again gets the same.

    Args:
        task: Fingerprint of the task.
        reply: The reply as MessagePack.
    """

    task: str
    reply: bytes


class ClientState(SecureMessage):
    """Where a client stands.

    Args:
        terms: Of the secure aggregation.
        job: The run's name.
        round: From 1.
        client: Its own name.
        elements: The encoded update without any mask; empty once it has been summed.
        ceremony: The one at work.
        past: Ceremonies that were left unfinished.
        secrets: Of the ceremony at work.
        answers: By phase.
    """

    terms: Terms
    job: str
    round: int
    client: str
    elements: bytes = Field(repr=False)
    ceremony: str | None = None
    past: tuple[str, ...] = ()
    secrets: Secrets | None = None
    answers: dict[Phase, Answer] = Field(default_factory=dict)


_STATE = Schema(ClientState, label="state", where="secure aggregation")


def read_state(body: bytes) -> ClientState:
    """Return the state that :func:`skerry.learn.federated.secure.messages.write` wrote.

    Raises:
        MalformedBodyError: it is no MessagePack.
        InvalidPayloadError: it is no state.
    """
    state: ClientState = _STATE.read_msgpack(body)
    return state
