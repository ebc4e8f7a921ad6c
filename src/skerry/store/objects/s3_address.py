"""The address of a store on S3: what may be in it, and what comes from the environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from skerry.errors import ConfigError
from skerry.store.objects.keys import check_key

KNOWN_OPTIONS = ("endpoint", "region", "allow_http", "timeout_s")
DEFAULT_TIMEOUT_S = 60.0
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN", "AWS_ACCESS_KEY_ID")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_CREDENTIALS = (
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_FORM = "s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where a store on S3 is; holds no credential.

    Attributes:
        bucket: The bucket, which must exist.
        prefix: What the keys of the store stand below, or nothing.
        endpoint: The server, or None for Amazon's of the region.
        region: The region that requests are signed for.
        allow_http: Whether the server may be spoken to without TLS.
        timeout_s: The longest that a request may go without progress.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    allow_http: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str]) -> S3Address:
        """Return what an address says; what it leaves open is taken from the ``AWS_*`` variables.

        Args:
            url: ``s3://BUCKET[/PREFIX][?OPTION=VALUE&…]`` with the options of `KNOWN_OPTIONS`.
            environment: The environment variables.

        Raises:
            ConfigError: Something in it is unknown or not allowed, or there are no credentials. The message repeats
                nothing that can be a secret.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ConfigError(
                "an s3: address holds no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and write "
                f"{_FORM}"
            )
        if parts.fragment or not _BUCKET.fullmatch(parts.netloc):
            raise ConfigError(f"an s3: address has the name of a bucket (3 to 63 of a-z 0-9 . -) behind s3://: {_FORM}")
        options = _options(parts.query)
        prefix = unquote(parts.path).strip("/")
        environment_region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        allow_http = _flag(options.get("allow_http", "false"))
        _check_credentials(environment)
        return cls(
            bucket=parts.netloc,
            prefix=check_key(prefix) if prefix else "",
            endpoint=_endpoint(options.get("endpoint") or _environment_endpoint(environment), allow_http=allow_http),
            region=_region(options.get("region", environment_region)),
            allow_http=allow_http,
            timeout_s=_seconds(options.get("timeout_s", str(DEFAULT_TIMEOUT_S))),
        )

    @property
    def url(self) -> str:
        """The address as text, complete: another process that opens it gets the same store."""
        options = {
            **({"endpoint": self.endpoint} if self.endpoint else {}),
            "region": self.region,
            **({"allow_http": "true"} if self.allow_http else {}),
            **({"timeout_s": f"{self.timeout_s:g}"} if self.timeout_s != DEFAULT_TIMEOUT_S else {}),
        }
        path = f"/{quote(self.prefix)}" if self.prefix else ""
        return f"s3://{self.bucket}{path}?{urlencode(options, safe=':/')}"


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    unknown = sorted(options.keys() - set(KNOWN_OPTIONS))
    if unknown:
        shown = unknown[0][:40]
        raise ConfigError(
            f"an s3: address has no option {shown!r}; known are {', '.join(KNOWN_OPTIONS)}. Credentials come from "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
        )
    if len(options) != len(pairs):
        raise ConfigError("an option of the s3: address is given twice")
    return options


def _environment_endpoint(environment: Mapping[str, str]) -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((environment[name] for name in names if environment.get(name)), None)


def _endpoint(text: str | None, *, allow_http: bool) -> str | None:
    if text is None:
        return None
    refused = "the endpoint of an s3: address is https://HOST[:PORT]"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{refused}, and what is given cannot be read") from None
    if "@" in parts.netloc or parts.query or parts.fragment or not host or parts.scheme not in {"http", "https"}:
        raise ConfigError(f"{refused}, without a user, a question mark or a #")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ConfigError(
            f"{refused}: http:// to {host} would send everything in the clear. Use https://, or add allow_http=true to "
            "the address if the network is trusted"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_credentials(environment: Mapping[str, str]) -> None:
    """Refuse at once: a client without credentials asks a server that is only there inside Amazon, for minutes."""
    keys = environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY")
    if not keys and not any(environment.get(name) for name in _CREDENTIALS):
        raise ConfigError(
            "there are no credentials for s3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), "
            "or AWS_SKIP_SIGNATURE=true for a bucket that is open to everybody. Profiles in ~/.aws are not read"
        )


def _region(text: str) -> str:
    if _REGION.fullmatch(text):
        return text
    raise ConfigError("the region of an s3: address is a word such as eu-central-1")


def _flag(text: str) -> bool:
    if text in {"true", "false"}:
        return text == "true"
    raise ConfigError("allow_http in an s3: address is true or false")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0.1 <= seconds <= 3600:
        return seconds
    raise ConfigError("timeout_s in an s3: address is a number of seconds from 0.1 to 3600")
