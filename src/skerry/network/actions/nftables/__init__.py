"""Actions in the kernel of this machine."""

from skerry.network.actions.nftables.actuator import NftablesActuator
from skerry.network.actions.nftables.library import Nftables

__all__ = ["Nftables", "NftablesActuator"]
