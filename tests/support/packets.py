"""What goes over the loopback interface, packet by packet; needs root."""

import ctypes
import select
import socket
import struct
import threading

ALL_PROTOCOLS = 0x0003
OUTGOING = 4  # each packet is seen as it leaves and as it arrives: once is enough
SO_ATTACH_FILTER = 26
SOL_PACKET, PACKET_STATISTICS = 263, 6


class Capture:
    """Every packet on loopback from or to a TCP port, for the block of a ``with`` statement.

    Raises:
        PermissionError: this process may not look.
    """

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # nothing comes before it is bound
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 2**20)
        self._filter(port)
        self._socket.bind(("lo", ALL_PROTOCOLS))
        self._ended, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._read)
        self.payload = b""
        self.bytes = 0  # with all headers
        self.dropped = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.close()
        self._thread.join()
        _, self.dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._socket.close()
        self._ended.close()

    def _filter(self, port):
        # Source and destination port of TCP over IPv4 without options: all that tests send on loopback.
        load, equal, answer = 0x28, 0x15, 0x06
        code = [(load, 0, 0, 34), (equal, 2, 0, port), (load, 0, 0, 36), (equal, 0, 1, port)]
        code += [(answer, 0, 0, 0xFFFFFFFF), (answer, 0, 0, 0)]
        block = b"".join(struct.pack("HBBI", *line) for line in code)
        held = ctypes.create_string_buffer(block)
        program = struct.pack("HP", len(code), ctypes.addressof(held))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def _read(self):
        pieces = []
        while True:
            ready, _, _ = select.select([self._socket, self._ended], [], [])
            if self._socket in ready:
                frame, (_, _, kind, *_) = self._socket.recvfrom(2**17)
                if kind == OUTGOING:
                    self.bytes += len(frame)
                    pieces.append(frame[34 + (frame[46] >> 4) * 4 :])
            elif self._ended in ready:  # only once there is nothing left to read
                break
        self.payload = b"".join(pieces)
