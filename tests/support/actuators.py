"""One place to work for each kind of actuator, and an action that all of them can carry out."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from skerry.network.actions import Action, Actuator, GobgpActuator, Match, NftablesActuator, Policy, XdpActuator
from support.bgp import bgp_neighbours, missing_for_bgp, our_routes
from support.own_network import missing_for_nftables, own_network, rule_set
from support.xdp import ADDRESSES_ONLY, INTERFACE, filter_status, missing_for_xdp, peer_with_xdp_filter

DESTINATION = ip_network("10.9.3.1")
POLICY = Policy(scope=(ip_network("10.9.0.0/16"),), allowed=(ip_network("10.9.7.0/24"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one kind of actuator works.

    Attributes:
        make: Makes an actuator that keeps its files in a folder.
        state: All that is in force there, whoever has done it, as the program prints it.
    """

    make: Callable[[Path], Actuator]
    state: Callable[[], object]


@contextmanager
def nftables(folder):
    with own_network():
        yield Place(make=lambda own: NftablesActuator(policy=POLICY, lock_file=own / "lock"), state=rule_set)


@contextmanager
def gobgp(folder):
    with own_network(), bgp_neighbours(folder):
        yield Place(make=lambda own: GobgpActuator(folder=own / "routes"), state=our_routes)


@contextmanager
def xdp(folder):
    with peer_with_xdp_filter(*ADDRESSES_ONLY):
        where = {"interfaces": (INTERFACE,), "destinations": (DESTINATION,), "policy": POLICY}
        yield Place(make=lambda own: XdpActuator(folder=own / "entries", **where), state=filter_status)


KINDS = {
    "nftables": (missing_for_nftables, nftables),
    "gobgp": (missing_for_bgp, gobgp),
    "xdp": (missing_for_xdp, xdp),
}


def by_source(*sources, ttl_s=60):
    """Return an action that every kind of actuator can carry out: to drop what comes from some sources."""
    match = Match(destination=DESTINATION, sources=tuple(ip_network(source) for source in sources))
    return Action(match=match, ttl_s=ttl_s)
