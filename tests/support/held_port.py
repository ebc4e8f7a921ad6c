"""A TCP port of this machine that nobody else is given before a server of the test listens on it, or between two."""

import socket
import weakref


class HeldPort:
    """A port that is kept as long as this object is there.

    A socket is bound to it and never listens: the system gives the port to nobody else who asks for any, connections to
    it are refused, and a server that sets SO_REUSEADDR, as nearly all do, may listen on it, again and again.

    Args:
        host: Address of this machine.
    """

    def __init__(self, host="127.0.0.1"):
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, 0))
        self.number = holder.getsockname()[1]
        weakref.finalize(self, holder.close)
