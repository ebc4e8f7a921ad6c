"""`skerry network actions` on a journal, without touching a network."""

import json
from ipaddress import ip_network

import pytest

from skerry.network.actions import Action, Flag, Journal, Limit, Match, Protocol, State, action_words, match_words
from support.actions import some_action

SETTINGS = {"table": "skerry", "lock_file": "/nowhere/lock"}


@pytest.fixture
def journal(own_home):
    journal = Journal(own_home / "network")
    yield journal
    journal.close()


@pytest.fixture
def waiting(journal):
    return open_entry(journal, State.WAITING, "a person has to approve it")


def open_entry(journal, state, reason):
    action = some_action(evidence={"verdict": "a flood", "opening_per_s": 1520.0, "features": {"sources": 12}})
    journal.open_entry(action, actuator="nftables", settings=SETTINGS, due_s=0.0, state=state, reason=reason)
    return action.id


def test_what_waits_is_listed_and_the_rest_is_told_of(skerry_command, journal, waiting):
    tried = some_action()
    journal.note(tried, State.TRIED, "dry run: nothing was done")

    code, out, err = skerry_command("network", "actions", "list")

    assert code == 0
    assert out.splitlines()[1].split()[:2] == [waiting, "waiting"]
    assert "drop tcp SYN to port 80 of 10.9.3.2, 40 bytes" in out
    assert tried.id not in out
    assert "1 action in other states (1 tried); --all shows them" in err
    assert tried.id in skerry_command("network", "actions", "list", "--all")[1]
    (found,) = json.loads(skerry_command("network", "actions", "list", "--state", "tried", "--json")[1])
    assert (found["id"], found["state"], found["match"]["destination"]) == (tried.id, "tried", "10.9.3.2/32")


def test_an_action_is_shown_with_its_evidence_and_its_history(skerry_command, journal, waiting):
    journal.change(waiting, State.WITHDRAWN, "Ada said no", since=(State.WAITING,), detail={"dropped_packets": 7})

    out = skerry_command("network", "actions", "show", waiting)[1]

    for text in ("Ada said no", "opening_per_s: 1520", "  sources: 12", "waiting", "dropped_packets 7"):
        assert text in out
    shown = json.loads(skerry_command("network", "actions", "show", waiting, "--json")[1])
    assert shown["evidence"]["verdict"] == "a flood"
    assert [record["state"] for record in shown["audit"]] == ["waiting", "withdrawn"]
    assert shown["dropped_packets"] is None


def test_all_that_happened_is_listed(skerry_command, journal, waiting):
    other = open_entry(journal, State.WAITING, "a person has to approve it")

    lines = skerry_command("network", "actions", "audit")[1].splitlines()

    assert [line.split()[2] for line in lines[1:]] == [waiting, other]
    (latest,) = json.loads(skerry_command("network", "actions", "audit", "--limit", "1", "--json")[1])
    assert latest["id"] == other
    assert latest["detail"]["evidence"]["opening_per_s"] == 1520


def test_what_waits_is_turned_down_with_a_name_and_a_reason(skerry_command, journal, waiting):
    words = ("network", "actions", "withdraw", waiting, "--as", "Ada", "--reason", "it is the backup")

    assert skerry_command(*words)[0] == 0

    assert journal.audit(waiting)[-1].reason == "withdrawn by Ada: it is the backup"
    code, _, err = skerry_command(*words)
    assert code == 2
    assert "is withdrawn" in err
    assert json.loads(skerry_command("network", "actions", "withdraw", "--all", "--json")[1]) == {"withdrawn": []}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "a1"], 2, "is not in the journal"),
        (["approve", "a1"], 2, "is not in the journal"),
        (["withdraw"], 2, "name the actions, or say --all"),
        (["withdraw", "a1", "--all"], 2, "name the actions, or say --all"),
        (["list", "--all", "--state", "tried"], 2, "do not go together"),
        (["list", "--folder", "nowhere"], 2, "no journal of actions"),
    ],
)
def test_what_cannot_be_is_said(skerry_command, journal, words, code, said):
    ended, _, err = skerry_command("network", "actions", *words)

    assert ended == code
    assert said in err
    assert "Traceback" not in err


def test_a_reason_is_one_line_and_no_order_to_the_terminal(skerry_command, journal):
    action = some_action(evidence={"why": "\x1b]0;owned\x07\nmore"})
    journal.open_entry(
        action,
        actuator="nftables",
        settings=SETTINGS,
        due_s=0.0,
        state=State.WAITING,
        reason="r\x1b[31m\n  10:00:00  confirmed  by Ada",
    )

    for words in (["list"], ["show", action.id], ["audit"]):
        out = skerry_command("network", "actions", *words)[1]
        assert r"r\x1b[31m\n  10:00:00  confirmed  by Ada" in out
        assert "\x1b" not in out
    assert r"why: \x1b]0;owned\x07\nmore" in skerry_command("network", "actions", "show", action.id)[1]


@pytest.mark.parametrize("command", ["approve", "withdraw"])
@pytest.mark.parametrize("name", ["eve\nroot", "eve\x1b[31m", "eve\u202e"])
def test_a_name_in_the_audit_is_one_line(skerry_command, journal, waiting, command, name):
    code, out, err = skerry_command("network", "actions", command, waiting, "--as", name)

    assert (code, out) == (2, "")
    assert "a name is one line" in err
    assert [record.state for record in journal.audit(waiting)] == [State.WAITING]


def test_an_approval_needs_the_policy_of_who_asked(skerry_command, waiting):
    code, _, err = skerry_command("network", "actions", "approve", waiting)

    assert code == 2
    assert "does not say the policy" in err


def test_matches_are_told_in_words():
    destination = ip_network("192.0.2.0/24")
    flood = Match(destination=destination, protocol=Protocol.UDP, source_ports=(53,), length_bytes=(1200, 1480))
    named = Match(
        destination=destination,
        protocol=Protocol.TCP,
        flags=Flag.ACK,
        sources=(ip_network("198.51.100.1"),),
        spared=tuple(ip_network(f"203.0.113.{number}") for number in range(5)),
    )

    assert match_words(flood) == "udp to 192.0.2.0/24 from port 53 of anywhere, 1200 to 1480 bytes"
    assert match_words(named) == "tcp ACK to 192.0.2.0/24 from 198.51.100.1, but from 5 sources"
    limit = Limit(packets_per_s=40, per_source=True)
    assert action_words(Action(match=flood, limit=limit, ttl_s=1)).startswith("limit to 40/s per source udp")
