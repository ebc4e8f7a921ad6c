"""What a client asks of a connection to another machine: who the server is, and a word when it is lost."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from skerry.errors import ConfigError

# A link that is cut for a few seconds is waited for; a peer that is silent for longer than this is lost.
LOST_AFTER_S = 15
PROBE_AFTER_S = 5
PROBE_EVERY_S = 2


def client_context(certificate: Path | None) -> ssl.SSLContext:
    """Return what to expect of a server: TLS 1.2 or newer, and a certificate that can be trusted.

    A certificate that is no authority's is *pinned*: the server has to show this very one, so its names do not matter.
    Below an authority, of the system or from a file, the name in the address has to be in the certificate.

    Args:
        certificate: PEM file of the server's certificate, or of authorities; none means the system's authorities.

    Raises:
        ConfigError: the file cannot be read.
    """
    if certificate is None:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(certificate)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"certificate {certificate} cannot be read: {reason}; give a PEM file") from error
        if context.cert_store_stats()["x509_ca"] == 0:
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def notice_loss(sock: socket.socket) -> None:
    """Have the system end a connection whose peer has been silent for `LOST_AFTER_S`, also while nothing is sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, (LOST_AFTER_S - PROBE_AFTER_S) // PROBE_EVERY_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * LOST_AFTER_S)
