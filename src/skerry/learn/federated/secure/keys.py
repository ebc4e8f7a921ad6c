"""The cryptography of secure aggregation: key agreement, encryption of shares, and masks; all from ``cryptography``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from skerry.errors import ConfigError, PrivacyError
from skerry.learn.federated.secure.ring import Elements

Random = Callable[[int], bytes]
"""Returns that many bytes; ``secrets.token_bytes``, and something seeded in tests only."""

_BLOCK_BYTES = 1 << 18
_NONCE_BYTES = 12


def require_cryptography() -> None:
    """Raise where ``cryptography`` is not installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import cryptography  # noqa: F401  # optional, and only asked whether it is there
    except ImportError as error:
        raise ConfigError('secure aggregation needs cryptography: pip install "skerry[secure]"') from error


def public_key(private: bytes) -> bytes:
    """Return the public X25519 key of a private one of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, *, ceremony: str, purpose: str) -> bytes:
    """Return the 32 bytes that the owners of two key pairs, and nobody else, can compute.

    Args:
        private: X25519.
        public: The other's.
        ceremony: Another one gives other bytes.
        purpose: Another one gives other bytes; both sides say the same.

    Raises:
        PrivacyError: the public key is one with which everybody could compute the bytes.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise PrivacyError("a public key of small order was refused: it would make the masks known to all") from error
    salt = hashlib.sha256(ceremony.encode()).digest()
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"skerry secure " + purpose.encode()).derive(shared)


def seal(key: bytes, plain: bytes, *, context: bytes, random: Random) -> bytes:
    """Return bytes encrypted with ChaCha20-Poly1305, behind their nonce; ``context`` has to be known to open them."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce = random(_NONCE_BYTES)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, context)


def unseal(key: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """Return what :func:`seal` was given.

    Raises:
        PrivacyError: the bytes were changed, or sealed for another receiver, round or ceremony.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise PrivacyError(
            "encrypted shares cannot be opened: they were changed, or are of another ceremony"
        ) from error


def mask(elements: Elements, seed: bytes, *, add: bool) -> None:
    """Add a mask to elements of the ring, or subtract it, in place and block by block.

    Args:
        elements: Changed.
        seed: 32 bytes, used for one mask only: the key of a ChaCha20 stream, which is the mask.
        add: Or subtract.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
    zeros, block = bytes(_BLOCK_BYTES), bytearray(_BLOCK_BYTES)
    step = _BLOCK_BYTES // elements.itemsize
    apply = np.add if add else np.subtract
    for begin in range(0, len(elements), step):
        part = elements[begin : begin + step]
        stream.update_into(zeros, block)
        apply(part, np.frombuffer(block, elements.dtype, len(part)), out=part)
