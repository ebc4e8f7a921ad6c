"""Actions on the network that are tried first, bounded, confirmed or withdrawn, and taken back exactly."""

from skerry.network.actions.action import Action, Limit, action_from_plain, action_to_plain, new_id
from skerry.network.actions.actor import Actor, Outcome
from skerry.network.actions.actuator import Actuator, Hits
from skerry.network.actions.gobgp import GobgpActuator
from skerry.network.actions.journal import AuditRecord, Entry, Journal, State, Summary
from skerry.network.actions.management import find_management_paths, inherit_session
from skerry.network.actions.match import Address, Flag, Match, Network, Protocol
from skerry.network.actions.nftables import NftablesActuator
from skerry.network.actions.policy import Path, Policy, find_refusal, spare
from skerry.network.actions.words import action_words, match_words
from skerry.network.actions.xdp import XdpActuator

__all__ = [
    "Action",
    "Actor",
    "Actuator",
    "Address",
    "AuditRecord",
    "Entry",
    "Flag",
    "GobgpActuator",
    "Hits",
    "Journal",
    "Limit",
    "Match",
    "Network",
    "NftablesActuator",
    "Outcome",
    "Path",
    "Policy",
    "Protocol",
    "State",
    "Summary",
    "XdpActuator",
    "action_from_plain",
    "action_to_plain",
    "action_words",
    "find_management_paths",
    "find_refusal",
    "inherit_session",
    "match_words",
    "new_id",
    "spare",
]
