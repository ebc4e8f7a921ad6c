import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DataError
from skerry.network.syslog import Facility, Severity, SyslogMessage, parse_syslog

NOW_MS = 1_750_000_000_000  # 15 June 2025, 15:06:40 UTC


def test_a_message_of_rfc_5424_is_read():
    message = parse_syslog(
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 77 ID47 "
        b'[exampleSDID@32473 iut="3" eventSource="App \\"x\\" \\\\ \\]"][other@1 a=""] '
        b"\xef\xbb\xbfAn entry \xe2\x9c\x93",
        received_ms=NOW_MS,
        sender="192.0.2.1",
    )

    assert message == SyslogMessage(
        facility=Facility.LOCAL4,
        severity=Severity.NOTICE,
        text="An entry ✓",
        at_ms=1_065_910_455_003,
        host="mymachine.example.com",
        app="evntslog",
        process="77",
        kind="ID47",
        data={"exampleSDID@32473": {"iut": "3", "eventSource": 'App "x" \\ ]'}, "other@1": {"a": ""}},
        received_ms=NOW_MS,
        sender="192.0.2.1",
    )


def test_what_a_message_of_rfc_5424_leaves_out_is_empty():
    message = parse_syslog(b"<14>1 - - - - - -")

    assert (message.at_ms, message.host, message.app, message.process, message.kind) == (None, "", "", "", "")
    assert (message.text, message.data) == ("", {})


@pytest.mark.parametrize(
    ("data", "host", "app", "process", "text"),
    [
        (b"<34>Jun 15 15:06:39 mymachine su: 'su root' failed", "mymachine", "su", "", "'su root' failed"),
        (b"<34>Jun  5 15:06:39 h sshd[123]: Accepted", "h", "sshd", "123", "Accepted"),
        (b"<34>Jun 15 15:06:39 kernel: oops", "", "kernel", "", "oops"),
        (b"<34>2025-06-15T15:06:39+00:00 h app: hi\n", "h", "app", "", "hi"),
        (b"<34>Use the BFG!", "", "", "", "Use the BFG!"),
        (b"<34>1 nonsense", "", "", "", "1 nonsense"),
        (b"<34>", "", "", "", ""),
    ],
)
def test_messages_of_the_older_form_are_read_as_far_as_they_have_one(data, host, app, process, text):
    message = parse_syslog(data, received_ms=NOW_MS)

    assert (message.facility, message.severity) == (Facility.AUTH, Severity.CRITICAL)
    assert (message.host, message.app, message.process, message.text) == (host, app, process, text)


def test_the_older_form_gets_the_year_that_is_nearest():
    new_year_ms = 1_767_225_600_000  # 2026

    before = parse_syslog(b"<1>Dec 31 23:59:59 h a: x", received_ms=new_year_ms + 500)
    after = parse_syslog(b"<1>Jan  1 00:00:01 h a: x", received_ms=new_year_ms - 500)

    assert (before.at_ms, after.at_ms) == (new_year_ms - 1_000, new_year_ms + 1_000)


def test_the_clock_of_a_sender_without_a_time_zone_can_be_told():
    message = parse_syslog(b"<1>Jun 15 17:06:40 h a: x", received_ms=NOW_MS, offset_s=7_200)

    assert message.at_ms == NOW_MS


@pytest.mark.parametrize("data", [b"", b"hello", b"<>", b"<192>x", b"<-1>x", b"<12", b"<\xc2\xb2>x", b"<1234567>x"])
def test_a_message_without_a_priority_is_refused(data):
    with pytest.raises(DataError, match="begins with its priority"):
        parse_syslog(data)


def test_a_message_that_is_too_long_is_refused():
    with pytest.raises(DataError, match="at most 65535"):
        parse_syslog(b"<1>" + b"x" * 70_000)


MANY = b"".join(b'[a%d b="c"]' % i for i in range(4_000))


@pytest.mark.parametrize("tail", [b"[" * 30_000, b'[a b="' + b"\\" * 60_000, MANY, b'[a ="=' * 10_000])
def test_hostile_structured_data_are_text(tail):
    assert parse_syslog(b"<1>1 - - - - - " + tail).data == {}


@given(st.binary(max_size=300), st.sampled_from([b"", b"<13>", b"<13>1 ", b"<13>1 - - - - - [", b"<13>Oct  1 "]))
def test_any_bytes_are_a_message_or_a_refusal(data, head):
    try:
        message = parse_syslog(head + data, received_ms=NOW_MS)
    except DataError:
        return
    assert isinstance(message.text, str)
