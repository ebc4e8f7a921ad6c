"""An actuator of which nothing reaches a network, for tests of what is done around it."""

from skerry.network.actions import Actuator, Hits


class MemoryActuator(Actuator):
    """Keeps what is in force, with the time-out that it was given last."""

    name = "memory"

    def __init__(self):
        self.timeouts_s = {}
        self.packets = 0
        self.on_apply = lambda: None

    def close(self):
        pass

    def settings(self):
        return {}

    def check(self, action):
        pass

    def apply(self, action, *, timeout_s):
        self.timeouts_s[action.id] = timeout_s
        self.on_apply()

    def renew(self, action, *, timeout_s):
        self.timeouts_s[action.id] = timeout_s

    def withdraw(self, action_id):
        return self.timeouts_s.pop(action_id, None) is not None

    def applied(self):
        return {name: Hits(packets=self.packets, bytes=0) for name in self.timeouts_s}
