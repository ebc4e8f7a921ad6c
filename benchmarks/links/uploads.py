"""TCP over emulated links: how long an upload takes, by congestion control."""

from __future__ import annotations

import socket
import threading
import time

from skerry.testbed.links import End
from skerry.testbed.links.namespace import inside

TCP_CONGESTION = 13


def upload_s(ends: tuple[End, End], size_bytes: int, control: str) -> float:
    """Return what an upload takes from the first end to the second, with connection and answer.

    Args:
        ends: Those of a link that is up.
        size_bytes: What is sent.
        control: Congestion control of the sender.
    """
    first, second = ends
    with inside(second.namespace):
        server = socket.create_server((second.address, 0))

    def answer() -> None:
        far, _ = server.accept()
        with far:
            while far.recv(1 << 20):
                pass
            far.sendall(b"k")

    receiver = threading.Thread(target=answer)
    receiver.start()
    with inside(first.namespace):
        near = socket.socket()
    near.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, control.encode())
    body = bytes(size_bytes)
    began_s = time.monotonic()
    with near, server:
        near.connect(server.getsockname())
        near.sendall(body)
        near.shutdown(socket.SHUT_WR)
        near.recv(1)
        took_s = time.monotonic() - began_s
        receiver.join()
    return took_s
