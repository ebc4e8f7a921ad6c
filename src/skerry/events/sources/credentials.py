"""How a source signs in: passwords from the environment, certificates from files; messages repeat no secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from skerry.errors import ConfigError
from skerry.spec import MqttSource, NatsSource


def password_of(source: MqttSource | NatsSource, environment: Mapping[str, str]) -> str | None:
    """Return the password that a source signs in with; none where it needs none.

    Raises:
        ConfigError: the variable that it is to be in is not set.
    """
    if source.password_variable is None:
        return None
    found = environment.get(source.password_variable)
    if found is None:
        raise ConfigError(f"the engine's environment has no {source.password_variable}, in which the password is")
    return found


def tls_of(source: MqttSource | NatsSource) -> ssl.SSLContext:
    """Return how a source checks the server's certificate, and shows its own.

    Raises:
        ConfigError: a file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=source.ca)
        if source.certificate is not None:
            context.load_cert_chain(source.certificate, source.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(file for file in (source.ca, source.certificate, source.key) if file is not None)
        raise ConfigError(f"the certificates for {source.url} ({files}) cannot be read: {error}") from error
    return context
