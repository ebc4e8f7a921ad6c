"""A call as it leaves: its body, and the files and folders that the body refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skerry.errors import InputNotFoundError
from skerry.platforms import Platform

if TYPE_CHECKING:
    from skerry.payload import Signature
    from skerry.platforms.outgoing import Outgoing

T = TypeVar("T")

MSGPACK = "application/msgpack"
CLOUD_EVENT = "application/cloudevents+json"
_HERE = Path()  # the current folder when it is used: asking the system for its name takes longer than most calls


@dataclass(frozen=True, slots=True)
class EncodedCall:
    """A call whose arguments are encoded; it may be sent to several places.

    Args:
        function: The name of the function.
        body: The arguments.
        content_type: What the body is.
        inputs: The files and folders that the body refers to.
    """

    function: str
    body: bytes
    content_type: str
    inputs: tuple[Outgoing, ...]

    def send_inputs(self, platform: Platform, *, keep: bool = False) -> None:
        """Have a platform get what the body refers to; see `Platform.send_inputs`."""
        if self.inputs:
            platform.send_inputs(self.inputs, function=self.function, keep=keep)

    def run_on(self, platform: Platform, run: Callable[[], T]) -> T:
        """Return what running the call gives; the platform has its files and folders by then.

        A platform may have evicted what it was sent earlier: then it is sent once more.

        Args:
            platform: Where the call goes.
            run: Sends it.
        """
        if not self.inputs:
            return run()
        self.send_inputs(platform)
        try:
            return run()
        except InputNotFoundError as error:
            ours = {f"sha256:{content.sha256}" for item in self.inputs for content in item.contents}
            if not ours.intersection(error.details.get("digests", ())):
                raise
        platform.send_inputs(self.inputs, function=self.function, again=True)
        return run()


def encode_call(
    function: str, signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], folder: Path | None
) -> EncodedCall:
    """Return a call's body, and what it refers to.

    Args:
        function: The function's name.
        signature: The function's.
        args: Positional arguments.
        kwargs: Arguments by name.
        folder: Where the app's file is: its ``skerry.toml``, and that of the current folder, may label files as local.
    """
    from skerry.payload.file import use_port
    from skerry.platforms.outgoing import Outbox

    # MessagePack keeps what JSON has no word for; a CloudEvent has a form of its own.
    content_type = CLOUD_EVENT if signature.takes_event else MSGPACK
    outbox = Outbox([_HERE] if folder is None else [folder, _HERE])
    with use_port(outbox):
        body = signature.encode_call(args, kwargs, content_type)
    return EncodedCall(function, body, content_type, outbox.items)
