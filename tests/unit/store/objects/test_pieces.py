import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import CorruptObjectError
from skerry.store.objects.pieces import cut, verify

pieces = st.lists(st.binary(min_size=1, max_size=20), max_size=10)


@given(pieces=pieces)
def test_what_has_its_checksum_passes_unchanged(pieces):
    sha256 = hashlib.sha256(b"".join(pieces)).hexdigest()
    assert list(verify(pieces, sha256, CorruptObjectError)) == pieces


@given(pieces=pieces)
def test_what_has_not_never_passes_whole(pieces):
    read = []
    with pytest.raises(CorruptObjectError):
        read.extend(verify(pieces, "0" * 64, CorruptObjectError))
    assert read == pieces[: len(read)]
    assert not read or len(read) < len(pieces)


@given(pieces=pieces, size=st.integers(1, 30))
def test_cut_pieces_hold_the_same_bytes(pieces, size):
    small = list(cut(pieces, size))
    assert b"".join(small) == b"".join(pieces)
    assert all(1 <= len(piece) <= size for piece in small)
