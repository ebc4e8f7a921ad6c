import dataclasses
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError, UnauthorizedError
from skerry.learn.federated.wire.tokens import (
    Claims,
    UsedTokens,
    check_token,
    issue_token,
    make_secret,
    read_secret,
    token_id,
)

SECRET = bytes(range(32))
CLAIMS = Claims(job="digits", round=3, client="harbour", model_digest="ab" * 32)
TOKEN = issue_token(SECRET, CLAIMS, expires_s=1000.0)
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def fault_of(token=TOKEN, *, secret=SECRET, now_s=10.0, **claims):
    with pytest.raises(UnauthorizedError) as caught:
        check_token(secret, token, dataclasses.replace(CLAIMS, **claims), now_s)
    assert TOKEN not in caught.value.message
    return caught.value.details["fault"]


def test_a_token_is_good_for_its_own_task_until_it_expires():
    check_token(SECRET, TOKEN, CLAIMS, 999.9)


@settings(deadline=None)
@given(
    st.builds(Claims, job=st.text(), round=st.integers(1, 10**9), client=st.text(), model_digest=st.text()),
    st.floats(1, 1e12),
)
def test_any_claims_make_url_safe_text_that_is_good_for_them(claims, expires_s):
    token = issue_token(SECRET, claims, expires_s=expires_s)
    assert set(token) <= URL_SAFE
    check_token(SECRET, token, claims, 0.0)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"client": "lighthouse"}, "wrong_client"),
        ({"round": 2}, "wrong_round"),
        ({"round": 4}, "wrong_round"),
        ({"job": "digits-2"}, "wrong_job"),
        ({"model_digest": "cd" * 32}, "wrong_model"),
    ],
)
def test_a_token_is_good_for_nothing_else(claims, fault):
    assert fault_of(**claims) == fault


def test_a_stolen_token_opens_nothing_for_another_client():
    assert fault_of(client="thief") == "wrong_client"


@pytest.mark.parametrize("now_s", [1000.0, 1000.1, float("inf"), float("nan")])
def test_a_token_expires_at_its_moment_and_stays_expired(now_s):
    assert fault_of(now_s=now_s) == "expired"


def test_a_token_of_another_secret_is_forged():
    assert fault_of(secret=bytes(32)) == "forged"
    assert fault_of(issue_token(bytes(32), CLAIMS, expires_s=1000.0)) == "forged"


def test_a_token_with_any_bit_altered_is_forged():
    raw = TOKEN.encode()
    for place in range(len(raw)):
        for bit in range(8):
            altered = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
            assert fault_of(altered.decode("latin-1")) == "forged"


def test_a_token_that_was_cut_or_padded_is_forged():
    for length in range(len(TOKEN)):
        assert fault_of(TOKEN[:length]) == "forged"
    for padded in (TOKEN + "=", TOKEN + " ", " " + TOKEN, TOKEN + TOKEN, "." + TOKEN):
        assert fault_of(padded) == "forged"


@settings(deadline=None)
@given(st.text())
def test_text_of_any_kind_is_forged_and_never_crashes(text):
    assert fault_of(text) == "forged"


def test_half_a_character_is_forged():
    assert fault_of(TOKEN + "\ud800") == "forged"


def test_another_tokens_claims_under_this_signature_are_forged():
    other = issue_token(SECRET, dataclasses.replace(CLAIMS, client="thief"), expires_s=1000.0)
    assert fault_of(f"{other.split('.')[0]}.{TOKEN.split('.')[1]}", client="thief") == "forged"


def test_a_token_is_used_once():
    used = UsedTokens()
    assert TOKEN not in used
    used.use(TOKEN)
    assert TOKEN in used
    with pytest.raises(UnauthorizedError, match="used before") as caught:
        used.use(TOKEN)
    assert caught.value.details["fault"] == "used"
    assert len(used) == 1


def test_used_tokens_are_rebuilt_from_the_record():
    other = issue_token(SECRET, CLAIMS, expires_s=2000.0)
    again = UsedTokens.of([TOKEN])
    assert TOKEN in again
    assert other not in again
    assert UsedTokens(again.ids).ids == again.ids == {token_id(TOKEN)}


def test_a_tokens_id_gives_nothing_of_it_away():
    assert len(token_id(TOKEN)) == 32
    assert token_id(TOKEN) not in TOKEN


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_of_another_length_signs_and_opens_nothing(secret):
    with pytest.raises(ConfigError, match="32 bytes"):
        issue_token(secret, CLAIMS, expires_s=1000.0)
    with pytest.raises(ConfigError, match="32 bytes"):
        check_token(secret, TOKEN, CLAIMS, 10.0)


def test_a_secret_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be made"):
        make_secret(tmp_path / "nowhere" / "secret")


def test_coordinators_that_start_together_have_one_secret(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make_secret, [tmp_path / "secret"] * 16))) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "secret"
    secret = make_secret(path)
    assert len(secret) == 32
    assert make_secret(path) == read_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
    assert make_secret(tmp_path / "other") != secret


def test_a_secret_that_is_missing_damaged_or_open_to_others_is_refused(tmp_path):
    path = tmp_path / "secret"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(path)
    make_secret(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        read_secret(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    for read in (read_secret, make_secret):
        with pytest.raises(ConfigError, match="32 bytes"):
            read(path)
