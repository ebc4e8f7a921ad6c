"""When packets came to an interface, stamped by the kernel: a process that reads them late knows how late it is.

A TUN device hands over packets without the moment at which they were sent. A packet socket at the same interface is
given a copy of each one's first bytes with the kernel's stamp, in the same order, in memory that this process shares:
reading it takes no system call.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
import time

from skerry.testbed.links.namespace import inside

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_RX_RING = 5
PACKET_VERSION = 10
TPACKET_V2 = 1
SO_ATTACH_FILTER = 26
PACKET_OUTGOING = 4
# Places in `struct tpacket2_hdr`, in words; its status is the first.
WORD_BYTES = 4
KEPT, SECONDS, REST_NS = 2, 4, 5
# Where the packet begins in its frame, bytes: behind the head and an address, and 16 bytes for a link-level head.
DATA_AT = 80
OF_KERNEL, OF_PROCESS = 0, 1
FRAME_BYTES = 128
BLOCK_BYTES = 1 << 16
INSTRUCTION_BYTES = 8
# More than the device keeps packets: no stamp is lost before its packet is.
FRAMES = 8192
FRAME_WORDS = FRAME_BYTES // WORD_BYTES
LAST_FRAME = (FRAMES - 1) * FRAME_WORDS
# A stamp is of the wall clock, which may be set meanwhile; packets that old are not in the device's queue any more.
OLDEST_S = 1.0
# A stamp whose packet has not come to the device within this time is of one that the device dropped.
DROPPED_S = 0.01

# Classic BPF: keep what leaves the machine by this interface, and nothing that arrives.
_FILTER = (
    struct.pack("=HBBI", 0x28 | 0x08, 0, 0, 0xFFFFF000 + 4)  # load the packet's type, one byte
    + struct.pack("=HBBI", 0x15, 0, 1, PACKET_OUTGOING)  # if it is not outgoing, skip one
    + struct.pack("=HBBI", 0x06, 0, 0, 0xFFFF)  # keep it
    + struct.pack("=HBBI", 0x06, 0, 0, 0)  # drop it
)


class Arrivals:
    """The kernel's stamps of the packets that leave by an interface.

    Args:
        namespace: Where the interface is; None is where the process is.
        interface: Its name.

    Raises:
        OSError: this process may not have packet sockets, or the kernel lacks them.
    """

    def __init__(self, namespace: str | None, interface: str) -> None:
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        try:
            program = ctypes.create_string_buffer(_FILTER)
            # `struct sock_fprog`: how many instructions, and where they are.
            words = struct.pack("@HP", len(_FILTER) // INSTRUCTION_BYTES, ctypes.addressof(program))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, words)
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            ring = struct.pack("@IIII", BLOCK_BYTES, FRAMES * FRAME_BYTES // BLOCK_BYTES, FRAME_BYTES, FRAMES)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
            self._ring = mmap.mmap(self._socket.fileno(), FRAMES * FRAME_BYTES)
            self._words = memoryview(self._ring).cast("I")
            self._socket.bind((interface, ETH_P_ALL))
        except BaseException:
            self._socket.close()
            raise
        # Whether a packet waits that was not asked for yet; to know it takes no system call.
        self.more = False
        self._at = 0

    def came_s(self, packet: bytes, now_s: float) -> float:
        """Return when a packet came that has just been read; now, where the kernel does not say.

        Stamps of packets before it that never could be read are forgotten.

        Args:
            packet: The packet.
            now_s: What the wall clock reads, seconds.
        """
        words, ring, at = self._words, self._ring, self._at
        while words[at] & OF_PROCESS:
            begins = at * WORD_BYTES + DATA_AT
            is_it = packet.startswith(ring[begins : begins + words[at + KEPT]])
            stamp_s = words[at + SECONDS] + words[at + REST_NS] * 1e-9
            words[at] = OF_KERNEL
            self._at = at = at + FRAME_WORDS if at < LAST_FRAME else 0
            if is_it:
                self.more = bool(words[at] & OF_PROCESS)
                return stamp_s if now_s - OLDEST_S < stamp_s < now_s else now_s
        self.more = False
        return now_s

    def forget_dropped(self) -> None:
        """Forget stamps whose packets the device dropped; to be called when nothing is left to read there."""
        words = self._words
        kept_s = time.time() - DROPPED_S
        while words[self._at] & OF_PROCESS and words[self._at + SECONDS] + words[self._at + REST_NS] * 1e-9 < kept_s:
            words[self._at] = OF_KERNEL
            self._at = self._at + FRAME_WORDS if self._at < LAST_FRAME else 0

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
        self._ring.close()
        self._socket.close()
