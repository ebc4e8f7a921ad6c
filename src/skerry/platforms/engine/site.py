"""The engine of a site, as its callers see it: over HTTPS, with a token, under the site's name."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path

from skerry.errors import ConfigError
from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.http.caller import Remote
from skerry.platforms.http.secure import client_context
from skerry.spec import Site

logger = logging.getLogger(__name__)

# A machine that does not take a connection within this is taken for lost: twenty times a round trip around the world.
CONNECT_TIMEOUT_S = 5.0


class SitePlatform(EnginePlatform):
    """A client of one site's engine.

    Args:
        site: The site.
        patience_s: Most seconds to wait, in total, before a request is not sent again: for room in a queue, or for an
            engine that restarts. A site that was never reached is reported at once.
        connect_timeout_s: Longest time for a connection to come about, seconds.

    Raises:
        ConfigError: the token is not where the site says, or the certificate cannot be read.

    Example:
        ``SitePlatform(Site(name="edge-1", address="https://10.0.0.1:8443", token_file=Path("edge-1.token")))``
    """

    def __init__(self, site: Site, *, patience_s: float = 60.0, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self.site = site
        remote = Remote(
            site=site.name,
            tls=client_context(site.certificate),
            connect_timeout_s=connect_timeout_s,
            most_answer_bytes=site.max_answer_bytes,
        )
        super().__init__(site.address, token=read_token(site), patience_s=patience_s, remote=remote)

    def __repr__(self) -> str:
        return f"<SitePlatform {self.site.name} at {self.site.address}>"


@lru_cache(maxsize=256)
def site_platform(site: Site, *, patience_s: float = 60.0) -> SitePlatform:
    """Return the client of a site; the same for the same site, so that connections are kept."""
    return SitePlatform(site, patience_s=patience_s)


def read_token(site: Site) -> str | None:
    """Return a site's token, from where the site says it is; none where it says nothing.

    Raises:
        ConfigError: the file or the variable is not there, or empty.
    """
    if site.token_file is not None:
        return _checked(site, _read_file(site, site.token_file), f"file {site.token_file}")
    if site.token_variable is not None:
        return _checked(site, os.environ.get(site.token_variable, ""), f"environment variable {site.token_variable}")
    if site.token is not None:
        logger.warning(
            "site %r: its token stands in the configuration itself, for every reader of it; use token_file or "
            "token_variable",
            site.name,
        )
    return site.token


def _read_file(site: Site, path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise ConfigError(
            f"site {site.name!r}: its token cannot be read from {path}: {reason}",
            hint="on the site, `skerry sites token` prints the token; copy it into that file, mode 0600",
        ) from error


def _checked(site: Site, token: str, where: str) -> str:
    if not token or not token.isprintable():
        raise ConfigError(f"site {site.name!r}: {where} holds no token: expected one line of text")
    return token
