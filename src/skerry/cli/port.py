"""Whether a TCP port can be listened on."""

from __future__ import annotations

import errno
import socket

from skerry.errors import PlatformError


def require_free_port(host: str, port: int) -> None:
    """Raise `PlatformError` when nothing can listen on ``host`` and ``port``; 0 stands for any free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PlatformError(
                f"port {port} of {host} is in use",
                hint="choose another one with --port; --port 0 takes any that is free",
            ) from error
        raise PlatformError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
