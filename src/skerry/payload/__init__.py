"""What travels: JSON, MessagePack with arrays, CloudEvents, and the handler's annotations as their schema."""

from skerry.payload.codec import decode, encode
from skerry.payload.event import Event
from skerry.payload.file import File, Folder
from skerry.payload.items import Items
from skerry.payload.media import JSON, MSGPACK
from skerry.payload.signature import Signature
from skerry.payload.stream import PieceForm, PieceReader, piece_form
from skerry.payload.tensor import Tensor

__all__ = [
    "JSON",
    "MSGPACK",
    "Event",
    "File",
    "Folder",
    "Items",
    "PieceForm",
    "PieceReader",
    "Signature",
    "Tensor",
    "decode",
    "encode",
    "piece_form",
]
