"""One-use tokens: who holds one may answer one task, and nothing else.

A token is its claims and an HMAC-SHA256 over them, as URL-safe text. The secret belongs to one run and stays with its
coordinator: clients give tokens back, and can neither make nor change one. Tokens are secrets until they are used: none
appears in a message or a log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import orjson

from skerry.errors import ConfigError, UnauthorizedError

SECRET_BYTES = 32
PURPOSE = b"skerry federated token 1\n"

TokenFault = Literal["forged", "expired", "wrong_job", "wrong_round", "wrong_client", "wrong_model", "used"]
"""Why a token opens nothing; ``details["fault"]`` of the `UnauthorizedError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token is good for.

    Args:
        job: The run.
        round: The round.
        client: Who may give it back.
        model_digest: Of the model that is trained from.
    """

    job: str
    round: int
    client: str
    model_digest: str


def make_secret(path: Path) -> bytes:
    """Return the secret of a run, and make it if there is none: 32 random bytes in a file of mode 0600.

    The file appears whole or not at all, and one that is there is never replaced.

    Raises:
        ConfigError: it cannot be made, or what is there is no secret, or others may read it.
    """
    if not path.exists():
        try:
            _write_secret(path)
        except OSError as error:
            raise ConfigError(f"the run's secret {path} cannot be made: {error.strerror}") from error
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """Return the secret of a run.

    Raises:
        ConfigError: there is none, it is damaged, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            secret = file.read(SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the run's secret {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(f"the run's secret {path} has mode {mode:04o}; others can read it: make a new run")
    if len(secret) != SECRET_BYTES:
        raise ConfigError(f"the run's secret {path} does not have {SECRET_BYTES} bytes: it is damaged; make a new run")
    return secret


def issue_token(secret: bytes, claims: Claims, *, expires_s: float) -> str:
    """Return the token of a task. The same claims and expiry give the same token.

    Args:
        secret: The run's.
        claims: What it is good for.
        expires_s: From when on it is good for nothing, in seconds since 1970.

    Example:
        >>> claims = Claims(job="digits", round=1, client="boat", model_digest="00")
        >>> token = issue_token(bytes(32), claims, expires_s=100.0)
        >>> check_token(bytes(32), token, claims, now_s=99.0)
    """
    fields = [claims.job, claims.round, claims.client, claims.model_digest, expires_s]
    body = base64.urlsafe_b64encode(orjson.dumps(fields)).rstrip(b"=")
    return f"{body.decode()}.{_sign(secret, body)}"


def check_token(secret: bytes, token: str, claims: Claims, now_s: float) -> None:
    """Refuse a token that is not good for this; that it was not used is for `UsedTokens` to say.

    Nothing of a token is read before its HMAC, compared in constant time, says that this run made it.

    Args:
        secret: The run's.
        token: What came.
        claims: What it has to be good for.
        now_s: Seconds since 1970.

    Raises:
        UnauthorizedError: it is not; ``details["fault"]`` is a `TokenFault`.
    """
    body, _, signature = token.encode("utf-8", "replace").rpartition(b".")
    if not hmac.compare_digest(signature, _sign(secret, body).encode()):
        raise _refusal("forged", "this run has not issued the token, or it was altered")
    job, round_, client, model_digest, expires_s = orjson.loads(
        base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
    )
    faults: list[tuple[TokenFault, str, object, object]] = [
        ("wrong_job", "job", job, claims.job),
        ("wrong_client", "client", client, claims.client),
        ("wrong_round", "round", round_, claims.round),
        ("wrong_model", "model", model_digest, claims.model_digest),
    ]
    for fault, what, has, needs in faults:
        if has != needs:
            raise _refusal(fault, f"the token is for {what} {has!r}, not {needs!r}")
    if not now_s < expires_s:
        raise _refusal("expired", f"the token expired {now_s - expires_s:.1f} s ago")


def token_id(token: str) -> str:
    """Return a token's name for the record and for logs: 128 bits of its SHA-256, with which nobody can use it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:32]


class UsedTokens:
    """Which tokens were used: a set of ids, rebuilt from the tokens of the replies that are on record.

    Tokens of rounds from which no reply is taken any more are refused by their round, and need not be kept.
    """

    __slots__ = ("_ids",)

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = set(ids)

    @classmethod
    def of(cls, tokens: Iterable[str]) -> UsedTokens:
        """Return the set of these tokens."""
        return cls(map(token_id, tokens))

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all used tokens."""
        return frozenset(self._ids)

    def __contains__(self, token: str) -> bool:
        return token_id(token) in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def use(self, token: str) -> None:
        """Take a token's one use.

        Raises:
            UnauthorizedError: it was used before.
        """
        found = token_id(token)
        if found in self._ids:
            raise _refusal("used", "the token was used before; each is good for one reply")
        self._ids.add(found)


def _write_secret(path: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600 by definition
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another coordinator was faster: its secret is the run's
            os.link(name, path)
    finally:
        os.unlink(name)


def _sign(secret: bytes, body: bytes) -> str:
    if len(secret) != SECRET_BYTES:  # an empty one would make every token easy to forge
        raise ConfigError(f"a run's secret has {SECRET_BYTES} bytes, not {len(secret)}")
    mac = _keyed(secret).copy()
    mac.update(body)
    return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()


@lru_cache(maxsize=4)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Return the HMAC that all tokens of a run begin with; never changed, only copied."""
    return hmac.new(secret, PURPOSE, "sha256")


def _refusal(fault: TokenFault, message: str) -> UnauthorizedError:
    return UnauthorizedError(message, fault=fault)
