"""Actions in XDP, before the kernel makes anything of a packet."""

from skerry.network.actions.xdp.actuator import XdpActuator

__all__ = ["XdpActuator"]
