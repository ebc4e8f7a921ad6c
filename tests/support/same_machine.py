"""A port for tests that encode and decode a call in one process: references lead back to where they came from."""

from skerry.payload.file import Found
from skerry.platforms.outgoing import Outbox


class SameMachine(Outbox):
    def open(self, reference, kind):
        (item,) = [item for item in self.items if item.reference.digest == reference.digest]
        assert item.kind == kind
        return Found(path=item.path)
