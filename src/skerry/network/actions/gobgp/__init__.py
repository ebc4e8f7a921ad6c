"""Actions on the routers of a network, told to them by BGP."""

from skerry.network.actions.gobgp.actuator import GobgpActuator

__all__ = ["GobgpActuator"]
