"""Models on their way to clients: whole, or as the difference to what a client holds."""

from __future__ import annotations

from dataclasses import dataclass

from skerry.learn.federated.wire.coding.packing import pack, unpack
from skerry.learn.federated.wire.messages import Coding, Packed
from skerry.learn.federated.wire.parameters import Vector, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A model as clients get it.

    Args:
        view: The model as they hold it afterwards; all of them hold the same.
        digest: Of the view.
        whole: The view, written without loss.
        base_digest: Of the view before, which ``difference`` is to; none where there is only the whole one.
        difference: What is to be added to the view before.
    """

    view: Vector
    digest: str
    whole: Packed
    base_digest: str | None = None
    difference: Packed | None = None

    def parts_for(self, holds: str | None) -> tuple[Packed | None, str | None]:
        """Return what is sent to a client, and the digest of what that is a difference to.

        Args:
            holds: Digest of the model that it holds, if that is known.
        """
        if holds == self.digest:
            return None, None
        if holds is not None and holds == self.base_digest:
            return self.difference, self.base_digest
        return self.whole, None


def send_whole(view: Vector) -> Outgoing:
    """Return a view that is sent whole to whoever does not hold it."""
    packed, _ = pack(view, view.dtype.name)  # type: ignore[arg-type]  # a vector's dtype is one of the codings
    return Outgoing(view=view, digest=digest_of(view), whole=packed)


def send_first(model: Vector, coding: Coding) -> Outgoing:
    """Return the first model as clients get it: in the coding of the later ones, where that can write a whole model.

    What the coding has lost is in the first difference.

    Args:
        model: The model that the run begins with.
        coding: Of models on their way to clients; top-k would leave nearly all of it out, so that it is sent whole.
    """
    if coding not in ("int8", "float16"):
        return send_whole(model)
    packed, _ = pack(model, coding)
    view = unpack(packed, model.dtype.name)
    return Outgoing(view=view, digest=digest_of(view), whole=packed)


def send_next(model: Vector, before: Outgoing, coding: Coding) -> Outgoing:
    """Return the next model as clients get it.

    In float32 it is sent whole: a difference would be as long. In other codings clients add the coded difference to the
    view before. What the coding has lost is in the next difference, because that is made to what clients hold.

    Args:
        model: The next model.
        before: What clients were sent last.
        coding: How the difference is written.
    """
    if coding == "float32":
        return send_whole(model)
    difference, _ = pack(model - before.view, coding)
    view = before.view + unpack(difference, model.dtype.name)
    whole = send_whole(view)
    return Outgoing(view=view, digest=whole.digest, whole=whole.whole, base_digest=before.digest, difference=difference)
