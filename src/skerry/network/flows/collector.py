"""The collector: a thread that listens, decodes, and hands batches of flow records over."""

from __future__ import annotations

import ipaddress
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from skerry.errors import ConfigError, InternalError, PlatformError, SkerryError, StorageError, TransportError
from skerry.network.flows.batch import FlowBatch
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.decoder import FlowDecoder
from skerry.network.flows.socket import DatagramSocket

# What one batch takes in at most. A record may take 20 times as much memory as it had in its datagram.
_BATCH_BYTES = 1 << 20
_BATCH_DATAGRAMS = 16_384

# How long the thread waits for datagrams before it looks whether it should stop, and after it could receive none.
_LOOK_S = 0.1


class FlowCollector:
    """Listens for datagrams of exporters in a thread of its own, and yields their records in batches.

    Where nobody takes the batches, the thread stops reading: the kernel's buffer fills, and what it drops is counted
    in ``dropped``. Memory does not grow.

    Args:
        host: Address to listen on.
        port: Port; 0 for one that the system chooses.
        interval_ms: A batch is handed over so long after its first datagram, at most. It is what the collector adds to
            the time in which an attack is seen.
        exporters: Networks that are listened to; all by default. The sender of UDP is easily forged: name your
            exporters, and filter forged addresses at the edge of the network.
        decoder: Decodes; one with bounds of your own.
        on_datagrams: Called with the datagrams as they came, in the thread: for recordings. When it has raised, it is
            not called again.
        buffer_bytes: Receive buffer of the kernel.

    Raises:
        ConfigError: The address cannot be listened on, or a network is none.

    Example:
        >>> with FlowCollector(port=0) as collector:
        ...     collector.port > 0
        True
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 2055,
        *,
        interval_ms: float = 50.0,
        exporters: Sequence[str] = (),
        decoder: FlowDecoder | None = None,
        on_datagrams: Callable[[Sequence[Datagram]], None] | None = None,
        buffer_bytes: int = 32 << 20,
    ) -> None:
        self._networks = [_network(text) for text in exporters]
        self._socket = DatagramSocket(host, port, buffer_bytes=buffer_bytes)
        self._interval_s = interval_ms / 1000
        self._on_datagrams = on_datagrams
        self._known: dict[bytes, bool] = {}
        self._batches: queue.Queue[FlowBatch | SkerryError] = queue.Queue(maxsize=4)
        self._stopped = threading.Event()
        self._failure: SkerryError | None = None
        self._thread = threading.Thread(target=self._collect, name="skerry-flows", daemon=True)
        self.decoder = decoder or FlowDecoder()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and end the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._socket.port

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because nobody read them in time."""
        return self._socket.dropped

    @property
    def buffer_bytes(self) -> int:
        """The receive buffer that the kernel has really given."""
        return self._socket.buffer_bytes

    def take(self, wait_s: float) -> FlowBatch | None:
        """Return the next batch, or nothing where none came in time.

        What has failed is raised in its place between the batches, and collecting goes on.

        Args:
            wait_s: How long to wait.

        Raises:
            StorageError: ``on_datagrams`` could not write; what comes from now on is not recorded.
            InternalError: datagrams could not be decoded, and are lost.
            TransportError: nothing can be received at the moment.
            PlatformError: the socket is gone, and nothing will come any more; its detail ``ended`` is true.
        """
        try:
            found = self._batches.get(timeout=wait_s)
        except queue.Empty:
            if self._failure is not None:
                raise self._failure from None
            return None
        if isinstance(found, SkerryError):
            raise found
        return found

    def batches(self, *, tick_s: float = 1.0) -> Iterator[FlowBatch]:
        """Yield batches until the collector is closed; an empty one where nothing came for a while.

        Args:
            tick_s: How long nothing may come until an empty batch is yielded, so that the caller can look at its clock.
        """
        while not self._stopped.is_set():
            batch = self.take(tick_s)
            yield FlowBatch() if batch is None else batch

    def _collect(self) -> None:
        # A thread that ends without a word would look like a quiet network.
        while not self._stopped.is_set():
            try:
                datagrams = self._gather()
            except Exception as error:  # of the socket
                if self._socket.is_gone:
                    reason = f"the socket that exporters send to is gone, and nothing is heard any more: {error}"
                    self._failure = PlatformError(reason, ended=True)
                    return
                self._hand_over(TransportError(f"no datagrams can be received at the moment: {error}"))
                self._stopped.wait(_LOOK_S)
                continue
            if datagrams:
                self._record(datagrams)
                self._hand_over(self._decode(datagrams))

    def _record(self, datagrams: Sequence[Datagram]) -> None:
        if self._on_datagrams is None:
            return
        try:
            self._on_datagrams(datagrams)
        except Exception as error:  # it is the caller's, and may raise anything
            self._on_datagrams = None
            self._hand_over(_caused(StorageError(f"the datagrams cannot be recorded: {error}"), error))

    def _decode(self, datagrams: Sequence[Datagram]) -> FlowBatch | SkerryError:
        try:
            return self.decoder.decode(datagrams)
        except Exception as error:  # whoever finds a fault in it must not make the network look quiet
            reason = f"{len(datagrams)} datagrams could not be decoded, and are lost: {type(error).__name__}: {error}"
            return _caused(InternalError(reason), error)

    def _hand_over(self, found: FlowBatch | SkerryError) -> None:
        if isinstance(found, FlowBatch) and not len(found):
            return
        while not self._stopped.is_set():
            try:
                self._batches.put(found, timeout=_LOOK_S)
                return
            except queue.Full:
                continue

    def _gather(self) -> list[Datagram]:
        """Return what comes within the interval after the first datagram."""
        datagrams: list[Datagram] = []
        end, size = time.monotonic() + _LOOK_S, 0
        while size < _BATCH_BYTES and len(datagrams) < _BATCH_DATAGRAMS and not self._stopped.is_set():
            more = self._allowed(self._socket.receive(max(end - time.monotonic(), 0.0), max_bytes=_BATCH_BYTES))
            if more and not datagrams:
                end = time.monotonic() + self._interval_s
            datagrams += more
            size += sum(len(each.data) for each in more)
            if time.monotonic() >= end:
                break
        return datagrams

    def _allowed(self, datagrams: list[Datagram]) -> list[Datagram]:
        if not self._networks:
            return datagrams
        allowed = [each for each in datagrams if self._is_known(each.address)]
        for _ in range(len(datagrams) - len(allowed)):
            self.decoder.counts.refuse("unknown_exporter")
        return allowed

    def _is_known(self, address: bytes) -> bool:
        known = self._known.get(address)
        if known is None:
            ip = ipaddress.ip_address(address)
            known = any(ip in network for network in self._networks)
            if len(self._known) >= 1_024:
                self._known.clear()
            self._known[address] = known
        return known


def _caused(error: SkerryError, cause: Exception) -> SkerryError:
    error.__cause__ = cause  # it is raised in another thread, where it cannot be said with `from`
    return error


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"exporters: {text!r} is no network: {error}", hint="like 192.0.2.1 or 192.0.2.0/24"
        ) from error
