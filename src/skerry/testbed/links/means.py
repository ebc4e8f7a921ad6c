"""Which means of emulation this machine has, found by trying, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args

from skerry.errors import PlatformError, SpecError
from skerry.testbed.links.namespace import run_tool
from skerry.testbed.links.netem import netem_refusal

MeansName = Literal["netem", "tun", "relay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """One means of emulation, and whether this machine has it.

    Args:
        name: ``netem``, ``tun`` or ``relay``.
        refusal: Why it does not work here; None when it does.
    """

    name: MeansName
    refusal: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@cache
def detect_means() -> tuple[Means, ...]:
    """Return every means, the best first, after trying each on this machine."""
    return (
        Means(name="netem", refusal=netem_refusal()),
        Means(name="tun", refusal=tun_refusal()),
        Means(name="relay", refusal=None),
    )


def choose_means(found: Sequence[Means], wanted: str | None = None) -> MeansName:
    """Return the best means that works, or the wanted one.

    Args:
        found: Every means, the best first.
        wanted: The only one that will do; None leaves the choice.

    Raises:
        SpecError: there is no such means.
        PlatformError: the wanted one does not work on this machine.
    """
    if wanted is not None and wanted not in get_args(MeansName):
        raise SpecError(f"there are no links by {wanted!r}; there are {', '.join(get_args(MeansName))}")
    for means in found:
        if wanted in (None, means.name) and means.refusal is None:
            return means.name
        if wanted == means.name:
            raise PlatformError(f"this machine has no links by {wanted}: {means.refusal}")
    tried = "; ".join(f"{means.name}: {means.refusal}" for means in found)
    raise PlatformError(f"this machine has no means to emulate links between namespaces, which need root ({tried})")


def tun_refusal() -> str | None:
    """Try a TUN device in a namespace that goes with the trial; return why it does not work, or None."""
    try:
        run_tool(["unshare", "--net", "ip", "tuntap", "add", "dev", "trial", "mode", "tun"])
    except PlatformError as error:
        return error.message
    return None
