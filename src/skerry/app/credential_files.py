"""Files of a project that give away credentials to whoever gets the project: a pure decision."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.engine.sources.bundle import Member

_HEAD_BYTES = 64 * 1024
# In pieces, so that this file does not look like one of them.
_PRIVATE_KEY = re.compile(rb"^-----" rb"BEGIN [A-Z0-9 ]*PRIVATE KEY-----", re.MULTILINE)
_KUBECONFIG = re.compile(rb"^\s*-?\s*\"?(client-key-data|token)\"?\s*:\s*\S", re.MULTILINE)
_KUBECONFIG_KIND = re.compile(rb"^\s*\"?kind\"?\s*:\s*\"?Config\b", re.MULTILINE)
_CLOUD_KEY = re.compile(rb"^\s*aws_secret_access_key\s*=\s*\S", re.MULTILINE)


def refuse_credentials(files: Iterable[Member]) -> None:
    """Raise ConfigError where files hold a private key, a kubeconfig's credentials or those of a cloud.

    Whoever may pull an image reads all of it, and a layer that was pushed once stays.

    Args:
        files: What is to go to another machine.
    """
    for file in files:
        kind = credential_kind(file.content)
        if kind is not None:
            raise ConfigError(
                f"{file.path} holds {kind}: whoever gets the app's image or bundle would have it",
                hint="name it in .skerryignore; what the function needs at run time comes as a secret "
                "(`secrets` of the function) or a variable",
            )


def credential_kind(content: bytes) -> str | None:
    """Return which credentials a file's content holds, in words; none where it holds none that are known."""
    head = content[:_HEAD_BYTES]
    if _PRIVATE_KEY.search(head):
        return "a private key"
    if _KUBECONFIG_KIND.search(head) and _KUBECONFIG.search(head):
        return "the credentials of a cluster (a kubeconfig)"
    return "the credentials of a cloud" if _CLOUD_KEY.search(head) else None
