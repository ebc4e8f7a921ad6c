"""What an engine shows to other machines: a certificate that was given, or one of its own that is made once.

The certificate of its own is signed by itself, so that clients pin it: they copy the file, or compare the fingerprint.
It is made by the ``openssl`` program, which is where Python's own container images and every server have it; a library
for the same would be a compiled dependency of several MB for one file in an engine's life.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from skerry.engine.home import TEMPORARY_PREFIX, Home
from skerry.errors import ConfigError, PlatformError

LIFETIME_DAYS = 3650
MAKE_TIMEOUT_S = 30.0
CERTIFICATE_FILE = "certificate.pem"
KEY_FILE = "certificate.key"
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104  # names of nobody: left out of the certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its key.

    Args:
        certificate: PEM file; further certificates of the chain may follow the first.
        key: PEM file of the key.
    """

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as it is sent, hexadecimal.

        Raises:
            ConfigError: the file cannot be read, or holds none.
        """
        try:
            text = self.certificate.read_text(encoding="ascii")
            first = text[: text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
            return hashlib.sha256(
                ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN CERTIFICATE-----") :])
            ).hexdigest()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.certificate} cannot be read as a certificate (PEM): {error}") from error

    def context(self) -> ssl.SSLContext:
        """Return what a listener needs to show it: TLS 1.2 or newer.

        Raises:
            ConfigError: the files cannot be read, or do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An empty password: a key that wants one is an error, not a question on a terminal that is not there.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"certificate {self.certificate} with key {self.key} cannot be used: {reason}; give PEM files that "
                "belong together, the key without a password"
            ) from error
        return context


def own_certificate(home: Home, host: str) -> Certificate:
    """Return the engine's own certificate; the first call makes it, with a key of mode 0600.

    Args:
        home: The engine's folder, which keeps it.
        host: Address that the engine listens on; it is among the names in the certificate.

    Raises:
        PlatformError: it cannot be made.
    """
    own = Certificate(certificate=home.path / CERTIFICATE_FILE, key=home.path / KEY_FILE)
    if own.certificate.exists() and own.key.exists():
        return own
    program = shutil.which("openssl")
    if program is None:
        raise PlatformError(
            "there is no program `openssl` to make the engine's certificate with; install it, or give --certificate "
            "and --key"
        )
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=home.sources))  # mode 0700 by definition
    try:
        made = Certificate(certificate=folder / CERTIFICATE_FILE, key=folder / KEY_FILE)
        _make(program, made, host)
        made.key.chmod(0o600)
        os.replace(made.key, own.key)
        os.replace(made.certificate, own.certificate)  # last: a certificate without its key would look whole
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return own


def _make(program: str, certificate: Certificate, host: str) -> None:
    command = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
    command += ["-keyout", str(certificate.key), "-out", str(certificate.certificate), "-days", str(LIFETIME_DAYS)]
    # No authority: who pins it trusts this one certificate, and nothing that it might sign.
    command += ["-subj", "/CN=skerry engine", "-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-addext", f"subjectAltName={','.join(_names(host))}", "-addext", "extendedKeyUsage=serverAuth"]
    # Without the machine's own settings, which may add extensions that contradict these.
    environment = {**os.environ, "OPENSSL_CONF": os.devnull}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=MAKE_TIMEOUT_S,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlatformError(f"the engine's certificate cannot be made: {error}") from error
    if done.returncode != 0:
        raise PlatformError(f"the engine's certificate cannot be made: openssl says: {done.stderr.strip()[-1000:]}")


def _names(host: str) -> list[str]:
    """Return the names in the certificate, as openssl writes them: what the engine listens on, and this machine's."""
    hosts = [*((host,) if host not in _WILDCARDS else ()), socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    return [f"IP:{name}" if _is_ip(name) else f"DNS:{name}" for name in dict.fromkeys(hosts) if name.isascii()]


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
