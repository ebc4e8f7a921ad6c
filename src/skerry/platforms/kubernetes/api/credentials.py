"""Who one is to which cluster: kubeconfig files, plugins and service accounts, as the Kubernetes client reads them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skerry.errors import ConfigError, SkerryError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Means = Literal["client certificate", "token", "credentials plugin", "service account", "none"]

# The client library remembers the file of a certificate before it has written it: a second thread would read it empty.
_READING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a cluster is reached.

    Args:
        configuration: The Kubernetes client's settings.
        source: Where they were read, for messages.
        context: The context; empty inside a cluster.
        namespace: The namespace that the context names.
        means: What proves who one is.
    """

    configuration: Any
    source: str
    context: str
    namespace: str
    means: Means

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self.configuration.host)


def read_access(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """Find out how to reach a cluster.

    Args:
        kubeconfig: A kubeconfig file. By default those of ``KUBECONFIG``, else ``~/.kube/config``, else, in a pod, its
            service account.
        context: The context in it; by default its current one.

    Raises:
        ConfigError: no such file or context, or the file is not a kubeconfig.
        SkerryError: the client library is not installed.
    """
    client, config = import_client()
    files = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    existing = [name for name in files.split(os.pathsep) if name and Path(name).is_file()]
    if not existing:
        if kubeconfig is None and context is None and (SERVICE_ACCOUNT / "token").is_file():
            return _read_service_account(client, config)
        raise ConfigError(
            f"there is no kubeconfig at {files}: name one with --kubeconfig or KUBECONFIG, "
            "or have the cluster's tool write it (k3s: /etc/rancher/k3s/k3s.yaml; kind: kind export kubeconfig)"
        )
    return _read_files(client, config, os.pathsep.join(existing), context)


def import_client() -> tuple[Any, Any]:
    """Return the client library's modules ``client`` and ``config``.

    Raises:
        SkerryError: it is not installed.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise SkerryError(
            f'clusters need {error.name or "kubernetes"}, which is not installed: pip install "skerry[kubernetes]"'
        ) from error
    return client, config


def _read_files(client: Any, config: Any, files: str, context: str | None) -> Access:
    configuration = client.Configuration()
    try:
        contexts, current = config.list_kube_config_contexts(config_file=files)
    except Exception as error:  # whatever the library meets in a file that is none of a kubeconfig
        raise ConfigError(f"{files} is not a kubeconfig with a current context: {_first_line(error)}") from error
    documents = [_read_document(Path(name)) for name in files.split(os.pathsep)]
    # With several files the library takes the last one's current context, and kubectl the first one's.
    first = next((str(found) for document in documents if (found := document.get("current-context"))), "")
    chosen = context or first or current["name"]
    named = {entry["name"]: entry["context"] for entry in contexts}
    if chosen not in named:
        raise ConfigError(f"{files} has no context {chosen!r}; it has {', '.join(sorted(named)) or 'none'}")
    complaints = _Complaints()
    with _READING:
        logging.getLogger().addHandler(complaints)
        try:
            config.load_kube_config(config_file=files, context=chosen, client_configuration=configuration)
        except Exception as error:  # as above: a missing user, a certificate that is no base64
            raise ConfigError(f"context {chosen!r} of {files} cannot be used: {_first_line(error)}") from error
        finally:
            logging.getLogger().removeHandler(complaints)
    if proxy := _find_proxy(documents, named[chosen].get("cluster")):
        configuration.proxy = proxy
    command = _find_plugin(documents, named[chosen].get("user"))
    means = _means(configuration, plugin=command)
    if means == "credentials plugin" and not (configuration.api_key or configuration.cert_file):
        raise ConfigError(
            f"the credentials plugin {command!r} of context {chosen!r} gave nothing "
            f"({complaints.text or 'no reason'}): "
            "often it is not installed, or needs a new login with the cloud's own tool"
        )
    namespace = named[chosen].get("namespace") or "default"
    return Access(configuration=configuration, source=files, context=chosen, namespace=namespace, means=means)


class _Complaints(logging.Handler):
    """Keeps why a plugin gave nothing: the client library only logs it, and goes on as nobody."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage().strip()


def _read_service_account(client: Any, config: Any) -> Access:
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
        namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise ConfigError(f"the pod's service account cannot be used: {_first_line(error)}") from error
    source = str(SERVICE_ACCOUNT)
    return Access(configuration=configuration, source=source, context="", namespace=namespace, means="service account")


def _means(configuration: Any, *, plugin: str) -> Means:
    if plugin:
        return "credentials plugin"
    if configuration.api_key:
        return "token"
    return "client certificate" if configuration.cert_file else "none"


def _read_document(file: Path) -> dict[str, Any]:
    import yaml  # comes with the client library

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _find_plugin(documents: Iterable[Mapping[str, Any]], user: str | None) -> str:
    """Return the command of the user's credentials plugin; empty when there is none."""
    for document in documents:
        for entry in document.get("users") or []:
            if entry.get("name") == user:
                return str(((entry.get("user") or {}).get("exec") or {}).get("command", ""))
    return ""


def _find_proxy(documents: Iterable[Mapping[str, Any]], cluster: str | None) -> str:
    """Return the proxy that a cluster is reached through; empty when none is named. Version 36 does not read it."""
    for document in documents:
        for entry in document.get("clusters") or []:
            if entry.get("name") == cluster:
                return str((entry.get("cluster") or {}).get("proxy-url", ""))
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
