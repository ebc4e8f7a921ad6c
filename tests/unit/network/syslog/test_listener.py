import socket
import time

from skerry.network.syslog import SyslogListener


def test_messages_come_with_their_sender_and_others_are_counted():
    with SyslogListener(port=0) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for data in (b"no syslog", b"<30>Jun 15 15:06:39 gate fw: dropped"):
            device.sendto(data, ("127.0.0.1", listener.port))
        messages, end = [], time.monotonic() + 20
        while not messages and time.monotonic() < end:
            messages += listener.take(0.2)

        assert [(each.host, each.app, each.text, each.sender) for each in messages] == [
            ("gate", "fw", "dropped", "127.0.0.1")
        ]
        assert (listener.refused, listener.dropped) == (1, 0)
