"""Codings: how a vector's numbers are written, and read again with mistrust."""

from skerry.learn.federated.wire.coding.packing import pack, unpack

__all__ = ["pack", "unpack"]
