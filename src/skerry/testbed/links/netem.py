"""Links between namespaces by the kernel's netem on a veth pair. Needs root, iproute2 and the module sch_netem."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import get_args

from skerry.errors import PlatformError
from skerry.testbed.links.base import End
from skerry.testbed.links.distribution import Distribution
from skerry.testbed.links.interface_link import InterfaceLink
from skerry.testbed.links.namespace import run_tool
from skerry.testbed.links.netem_words import TABLE_PREFIX, distribution_table


class NetemLink(InterfaceLink):
    """A link by netem; a process beside it makes the changes that schedules and requests ask for.

    netem draws a delay for each packet. Packets keep their order where ``jitter_reorders`` is false, but a packet with
    a long delay then holds up those behind it: under load the mean is longer than what was set.

    Its seed is not used: netem's random numbers are the kernel's.
    """

    means = "netem"
    module = "skerry.testbed.links.netem_process"

    def up(self) -> None:
        """Make the veth pair with netem on both of its ends, and start the process."""
        write_tables(self._folder)
        try:
            run_tool(veth_words(*self._ends))
            self._configure()
            for end in self._ends:
                # With loss, a "packet" that is many would be lost as one.
                where = [] if end.namespace is None else ["-n", end.namespace]
                run_tool(["ip", *where, "link", "set", end.interface, "gso_max_segs", "1"])
            self._start(
                ends=self._interfaces(),
                tables=str(self._folder.absolute()),
            )
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End the process and remove the pair."""
        super().down()
        first = self._ends[0]
        where = [] if first.namespace is None else ["-n", first.namespace]
        with suppress(PlatformError):  # it went with a namespace, or was never there
            run_tool(["ip", *where, "link", "delete", first.interface])


def veth_words(first: End, second: End) -> list[str]:
    """Return the command line that makes a veth pair between two ends."""

    def where(end: End) -> list[str]:
        return [] if end.namespace is None else ["netns", end.namespace]

    words = ["ip", "link", "add", first.interface, *where(first), "type", "veth"]
    return [*words, "peer", "name", second.interface, *where(second)]


def qdisc_words(verb: str, namespace: str | None, interface: str, options: list[str]) -> list[str]:
    """Return the command line that adds or changes netem on an interface.

    Args:
        verb: ``add`` or ``change``.
        namespace: Where the interface is.
        interface: Its name.
        options: What `netem_words` returned.
    """
    where = [] if namespace is None else ["-n", namespace]
    return ["tc", *where, "qdisc", verb, "dev", interface, "root", "handle", "1:", "netem", *options]


def write_tables(folder: Path) -> None:
    """Write the distributions of delays into a folder, as files for ``tc``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for distribution in get_args(Distribution):
        (folder / f"{TABLE_PREFIX}{distribution}.dist").write_text(distribution_table(distribution))


def netem_refusal() -> str | None:
    """Try netem in a namespace without a name, which goes with the trial; return why it does not work, or None."""
    try:
        run_tool(["unshare", "--net", *qdisc_words("add", None, "lo", ["delay", "1ms"])])
    except PlatformError as error:
        return error.message
    return None
