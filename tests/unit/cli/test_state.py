"""`skerry state` on a state in a folder."""

import json

import pytest

import skerry


@pytest.fixture
def counts():
    return skerry.App("news").state("counts")


def test_what_is_put_is_listed_read_and_deleted(skerry_command, counts):
    assert skerry_command("state", "put", "news/counts", "user/ada", '{"visits": 3}')[0] == 0
    counts.append("log", 1, "two")
    counts.add("seen", b"\0")
    counts.put("soon", 1, ttl_s=1000)
    code, out, _ = skerry_command("state", "list", "news/counts")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["log", "list"],
        ["seen", "set"],
        ["soon", "value"],
        ["user/ada", "value"],
    ]
    assert "never" in out
    assert "min" in out
    assert skerry_command("state", "list", "news")[1] == "news/counts\n"
    assert json.loads(skerry_command("state", "list", "news", "--json")[1]) == ["counts"]
    assert [info["key"] for info in json.loads(skerry_command("state", "list", "news/counts", "u", "--json")[1])] == [
        "user/ada"
    ]
    assert json.loads(skerry_command("state", "get", "news/counts", "user/ada")[1]) == {"visits": 3}
    assert json.loads(skerry_command("state", "get", "news/counts", "log", "--json")[1]) == [1, "two"]
    assert json.loads(skerry_command("state", "delete", "news/counts", "log", "--json")[1]) == {
        "key": "log",
        "deleted": True,
    }
    assert counts.size("log") == 0
    assert "had no key 'log'" in skerry_command("state", "delete", "news/counts", "log")[2]


def test_what_json_has_no_form_for_is_shown_all_the_same(skerry_command, counts):
    counts.put("odd", {1: b"hi", "rate": float("nan"), "plain": [1, None, "x"]})
    code, out, err = skerry_command("state", "get", "news/counts", "odd")
    assert (code, json.loads(out)) == (0, {"1": "aGk=", "rate": "nan", "plain": [1, None, "x"]})
    assert "base64" in err


def test_a_value_may_have_an_end(skerry_command, counts):
    out = skerry_command("state", "put", "news/counts", "a", "true", "--ttl", "100", "--json")[1]
    assert json.loads(out)["version"] == counts.entry("a").version
    assert 0 < next(counts.list("a")).ends_in_s <= 100


def test_changes_are_written_as_they_happen(skerry_command, counts):
    for ttl_s in (0.3, 2, 12):  # on a busy machine it may be over before the watch has begun
        counts.put("a", 1, ttl_s=ttl_s)
        code, out, _ = skerry_command("state", "watch", "news/counts", "a", "--for", ttl_s + 2, "--json")
        assert code == 0
        if out:
            break
    assert [json.loads(line) for line in out.splitlines()] == [{"key": "a", "version": 0}]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("get", "news/other", "a"), 2, "there is no state news/other at file://"),
        (("get", "news", "a"), 2, "write APP/NAME"),
        (("get", "news/counts", "nothing"), 1, "has no key 'nothing'"),
        (("put", "news/counts", "a", "text"), 2, "is not JSON"),
        (("put", "news", "a", "1"), 2, "is not the name of a state"),
        (("put", "news/counts", "@a", "1"), 2, "is not a key of a state"),
        (("list", "news/other"), 2, "app 'news' has there: counts"),
        (("list", "news", "--store", "ftp://x"), 2, "no state is kept at ftp:"),
    ],
)
def test_what_is_wrong_is_said(skerry_command, counts, words, code, said):
    counts.put("a", 1)
    found, _, err = skerry_command("state", *words)
    assert found == code, err
    assert said in err


def test_an_app_without_states_is_told_apart_from_silence(skerry_command):
    code, out, err = skerry_command("state", "list", "nothing")

    assert (code, out) == (0, "")
    assert err.startswith("app 'nothing' has no states here")
