"""Links for tests: between namespaces of their own, or on loopback; nothing of them is left, whatever happens."""

import contextlib
import os
import socket
from itertools import count

from skerry.testbed.links import (
    Conditions,
    End,
    LinkConditions,
    NetemLink,
    RelayLink,
    Schedule,
    TunLink,
)
from skerry.testbed.links.namespace import add_namespace, delete_namespace, inside, list_namespaces, run_tool
from support.held_port import HeldPort

_numbers = count()


class LinkHarness:
    """Makes one link and opens connections over it."""

    def __init__(self, folder):
        self.folder = folder / "link"
        self._links = []
        self._sockets = []

    def up(self, conditions, *, schedule=None):
        link = self.make(conditions, schedule=schedule)
        link.up()
        return link

    def connect(self):
        """Return both ends of a new connection over the link."""
        with self.at_second():
            server = socket.create_server((self.second_address, self.server_port()))
        self._sockets.append(server)
        server.settimeout(30)
        with self.at_first():
            near = socket.create_connection(self.connect_address(server), timeout=30)
        far, _ = server.accept()
        far.settimeout(30)
        self._sockets += [near, far]
        return near, far

    def close(self):
        for link in self._links:
            link.down()
        for connection in self._sockets:
            connection.close()

    def _keep(self, link):
        self._links.append(link)
        return link


class NamespaceHarness(LinkHarness):
    """Two namespaces with a link between them.

    Args:
        folder: Where the link keeps its files.
        kind: Class of the link.
    """

    second_address = "10.201.0.2"

    def __init__(self, folder, kind):
        super().__init__(folder)
        self._kind = kind
        self.means = kind.means
        mark = f"skt{os.getpid()}x{next(_numbers)}"
        self.names = (f"{mark}a", f"{mark}b")
        for name in self.names:
            add_namespace(name)
        first, second = self.names
        self.ends = (
            End(namespace=first, interface="to-b", address="10.201.0.1"),
            End(namespace=second, interface="to-a", address=self.second_address),
        )

    def make(self, conditions, *, schedule=None):
        both, schedules = _both(conditions, schedule)
        return self._keep(self._kind(self.ends, both, self.folder, schedules=schedules))

    def at_first(self):
        return inside(self.names[0])

    def at_second(self):
        return inside(self.names[1])

    def server_port(self):
        return 0

    def connect_address(self, server):
        return server.getsockname()

    def is_there(self):
        return "to-b" in run_tool(["ip", "-n", self.names[0], "link"])

    def close(self):
        super().close()
        for name in self.names:
            delete_namespace(name)
        assert not set(self.names) & set(list_namespaces())


class RelayHarness(LinkHarness):
    """A relay on loopback."""

    second_address = "127.0.0.1"
    means = RelayLink.means

    def __init__(self, folder):
        super().__init__(folder)
        self._held = HeldPort()

    def make(self, conditions, *, schedule=None):
        both, schedules = _both(conditions, schedule)
        return self._keep(RelayLink(("127.0.0.1", self._held.number), both, self.folder, schedules=schedules))

    def at_first(self):
        return contextlib.nullcontext()

    at_second = at_first

    def server_port(self):
        return self._held.number

    def connect_address(self, server):
        return self._links[-1].address

    def is_there(self):
        link = self._links[0]
        with socket.socket() as probe:
            return probe.connect_ex(link.address) == 0


def make_harness(folder, means):
    """Return a harness for `netem`, `tun` or `relay`."""
    if means == "relay":
        return RelayHarness(folder)
    return NamespaceHarness(folder, {"netem": NetemLink, "tun": TunLink}[means])


def _both(conditions, rows):
    both = LinkConditions.same(conditions) if isinstance(conditions, Conditions) else conditions
    schedules = {}
    if rows is not None:
        for name in ("forward", "backward"):
            schedules[name] = Schedule.from_rows(getattr(both, name), rows)
    return both, schedules
