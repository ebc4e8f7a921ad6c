"""An image registry, over the OCI distribution protocol."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from skerry.errors import ConfigError, CorruptObjectError, PlatformError, TransportError, UnauthorizedError
from skerry.platforms.images.archive import choose, layers_of
from skerry.platforms.images.blobs import Blobs, check_digest, digest_of
from skerry.platforms.images.credentials import find_credentials
from skerry.platforms.images.layer import Layer
from skerry.platforms.images.manifest import INDEX_TYPE, MANIFEST_TYPE
from skerry.platforms.images.reference import DOCKER_HUB, Reference

TIMEOUT_S = 60.0
_MAX_MANIFEST_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 20
_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Answer:
    """What a registry said.

    Args:
        status: The status code.
        headers: The header lines.
        body: The body, for answers that are not streamed.
    """

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Registry:
    """A connection to one repository of a registry.

    Args:
        reference: The image whose repository it is.
        insecure: Whether plain HTTP is spoken; to this machine itself it always is, to Docker Hub never.
    """

    def __init__(self, reference: Reference, *, insecure: bool = False) -> None:
        self.reference = reference
        plain = reference.is_local or (insecure and reference.registry != DOCKER_HUB)
        self._base = f"{'http' if plain else 'https'}://{reference.registry}"
        # A proxy has no business between this machine and a registry beside it.
        handlers = [urllib.request.ProxyHandler({})] if plain else []
        self._opener = urllib.request.build_opener(*handlers)
        self._authorization: dict[str, str] = {}

    def image(self, architecture: str) -> tuple[dict[str, Any], tuple[Layer, ...], str]:
        """Return the configuration, the layers and the manifest's digest of the image, without getting the layers.

        Raises:
            ConfigError: there is no such image.
            TransportError: the registry does not answer.
        """
        manifest, digest = self._manifest(self.reference.digest or self.reference.tag)
        if "manifests" in manifest:
            chosen = choose(manifest["manifests"], architecture, str(self.reference))
            manifest, digest = self._manifest(check_digest(chosen["digest"]))
        named = check_digest(manifest["config"]["digest"])
        content = self._expect(self._ask("GET", f"blobs/{named}"), 200).body
        if digest_of(content) != named:
            raise CorruptObjectError(f"{self.reference.registry} sent {digest_of(content)} when {named} was asked for")
        config: dict[str, Any] = json.loads(content)
        return config, layers_of(manifest, config), digest

    def fetch(self, digest: str, blobs: Blobs, *, size_bytes: int | None = None) -> None:
        """Get a content.

        Args:
            digest: Which.
            blobs: Where to put it.
            size_bytes: How large it is said to be; more is not taken.

        Raises:
            CorruptObjectError: it is not what its digest says, or larger than its manifest says.
        """
        with blobs.writing(expect=check_digest(digest), most_bytes=size_bytes) as file:
            self._expect(self._ask("GET", f"blobs/{digest}", into=file), 200)

    def check_push(self) -> None:
        """See whether the registry takes contents, by beginning an upload and taking it back.

        Raises:
            TransportError: the registry does not answer.
            UnauthorizedError: it wants a login, or another one.
        """
        begun = self._expect(self._ask("POST", "blobs/uploads/"), 202)
        self._ask("DELETE", begun.headers.get("Location", ""))

    def has(self, digest: str) -> bool:
        """Whether the repository has a content already."""
        return self._ask("HEAD", f"blobs/{digest}").status == 200

    def mount(self, digest: str, other: Reference) -> bool:
        """Take a content over from another repository of the same registry, if it has it; say whether it did."""
        query = urllib.parse.urlencode({"mount": digest, "from": other.name})
        answer = self._ask("POST", f"blobs/uploads/?{query}", also=other.name)
        if answer.status == 202:  # an upload was begun instead
            self._ask("DELETE", answer.headers.get("Location", ""))
        return answer.status == 201

    def push(self, digest: str, content: Path | bytes) -> int:
        """Send a content that the repository does not have; return the number of bytes sent."""
        begun = self._expect(self._ask("POST", "blobs/uploads/"), 202)
        location = begun.headers.get("Location", "")
        joined = f"{location}{'&' if '?' in location else '?'}{urllib.parse.urlencode({'digest': digest})}"
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self._expect(self._ask("PUT", joined, body=content, size_bytes=size), 201)
        return size

    def put_manifest(self, manifest: bytes) -> None:
        """Give the image its name."""
        answer = self._ask(
            "PUT", f"manifests/{self.reference.tag}", body=manifest, size_bytes=len(manifest), kind=MANIFEST_TYPE
        )
        self._expect(answer, 201)

    def _manifest(self, name: str) -> tuple[dict[str, Any], str]:
        accepted = ", ".join((MANIFEST_TYPE, INDEX_TYPE, _DOCKER_TYPE, _LIST_TYPE))
        answer = self._ask("GET", f"manifests/{name}", accept=accepted)
        if answer.status == 404:
            raise ConfigError(f"there is no image {self.reference}", hint="check its name; --base names another base")
        self._expect(answer, 200)
        digest = digest_of(answer.body)
        if name.startswith("sha256:") and name != digest:
            raise PlatformError(f"{self.reference.registry} sent {digest} when {name} was asked for")
        manifest: dict[str, Any] = json.loads(answer.body)
        return manifest, digest

    def _expect(self, answer: Answer, status: int) -> Answer:
        """Return an answer of the status that means success; explain any other."""
        if answer.status == status:
            return answer
        where = f"{self.reference.registry}/{self.reference.name}"
        if answer.status in (401, 403):
            raise UnauthorizedError(
                f"registry {where} refuses: {answer.status}",
                hint=f"log in with docker login {self.reference.registry} (or podman, skopeo); "
                "the login is read from ~/.docker/config.json",
            )
        raise PlatformError(f"registry {where} answered {answer.status}: {_reason(answer.body)}")

    def _ask(
        self,
        method: str,
        place: str,
        *,
        body: Path | bytes | None = None,
        size_bytes: int = 0,
        kind: str = "application/octet-stream",
        accept: str = "*/*",
        also: str = "",
        into: Any = None,
    ) -> Answer:
        headers = {"Accept": accept}
        if body is not None or method in ("POST", "PUT"):
            headers |= {"Content-Length": str(size_bytes), "Content-Type": kind}
        url = urllib.parse.urljoin(f"{self._base}/v2/{self.reference.name}/", place)
        if urllib.parse.urlsplit(url).scheme not in (self._base.partition(":")[0], "https"):
            raise PlatformError(f"registry {self.reference.registry} leads to {url}, which is less safe than itself")
        answer = self._send(method, url, headers, body, into)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status == 401 and challenge:
            self._log_in(challenge, also)
            answer = self._send(method, url, headers, body, into)
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: Path | bytes | None, into: Any) -> Answer:
        data: bytes | IO[bytes] | None = body.open("rb") if isinstance(body, Path) else body
        if data is None and method in ("POST", "PUT"):
            data = b""
        request = urllib.request.Request(url, data=data, headers=dict(headers), method=method)  # noqa: S310  # http(s)
        if urllib.parse.urlsplit(url).netloc == self.reference.registry:
            for name, value in self._authorization.items():
                # Not sent along to where a redirect leads, such as a store of objects.
                request.add_unredirected_header(name, value)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                if into is None:
                    return Answer(response.status, response.headers, response.read(_MAX_MANIFEST_BYTES))
                while chunk := response.read(_CHUNK_BYTES):
                    into.write(chunk)
                return Answer(response.status, response.headers, b"")
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(_MAX_MANIFEST_BYTES))
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            scheme = self._base.partition(":")[0]
            raise TransportError(
                f"registry {self.reference.registry} does not answer over {scheme}: {reason}",
                hint=_advice(method, reason),
            ) from error
        finally:
            if data is not None and not isinstance(data, bytes):
                data.close()

    def _log_in(self, challenge: str, also: str) -> None:
        """Get what the registry wants to see, with this user's credentials if there are any."""
        scheme, _, rest = challenge.partition(" ")
        known = find_credentials(self.reference.registry)
        if scheme.lower() == "basic":
            if known is not None:
                self._authorization = {"Authorization": f"Basic {known}"}
            return
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.get("realm", "")
        if scheme.lower() != "bearer" or not realm.startswith(("https://", "http://")):
            return
        if known is not None and realm.startswith("http://") and self._base.startswith("https://"):
            raise UnauthorizedError(f"registry {self.reference.registry} wants a password sent in plain text")
        scopes = [("scope", f"repository:{self.reference.name}:pull,push")]
        scopes += [("scope", f"repository:{also}:pull")] if also else []
        if known is None:
            scopes = [("scope", scope) for scope in asked.get("scope", "").split(" ") if scope]
        query = urllib.parse.urlencode([("service", asked.get("service", "")), *scopes])
        headers = {} if known is None else {"Authorization": f"Basic {known}"}
        request = urllib.request.Request(f"{realm}?{query}")  # noqa: S310  # checked above
        for name, value in headers.items():
            request.add_unredirected_header(name, value)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                token = json.load(response)
        except (OSError, ValueError, HTTPException):
            return  # the registry's own refusal is what the person is told
        self._authorization = {"Authorization": f"Bearer {token.get('token') or token.get('access_token')}"}


def _advice(method: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "have this machine trust its certificate's authority (SSL_CERT_FILE)"
    if isinstance(reason, ssl.SSLError):
        return (
            "it speaks plain HTTP, which --insecure-registry allows; for skerry deploy also insecure_registry = true "
            "beside registry in skerry.toml"
        )
    step = "look at its address, and whether it runs and is in this machine's network"
    return f"{step}; --base this-python needs no registry for the base" if method == "GET" else step


def _reason(body: bytes) -> str:
    try:
        return "; ".join(f"{error['code']}: {error.get('message', '')}" for error in json.loads(body)["errors"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace") or "nothing more"
