"""Where an S3 endpoint is: scheme, host and port of its URL."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an S3 service. Compared by value."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host header of requests to it: the port is left out where it is the scheme's own."""
        return self.authority_of(self.host)

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_ip_address(self) -> bool:
        """Whether the host is an IP address, under which no virtual host can be named."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine: a loopback address, `localhost` or a name under it (RFC 6761)."""
        if is_localhost(self.host):
            return True
        return self.is_ip_address and ipaddress.ip_address(self.host).is_loopback

    def authority_of(self, host: str) -> str:
        """Return the Host header of another host on the same port, `bucket.endpoint` say."""
        name = f"[{host}]" if ":" in host else host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def parse(url: str) -> Endpoint:
    """Return the endpoint that a URL names. Raises ValueError, which says what is wrong with it."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in _PORTS:
        raise ValueError(f"{url}: expected http:// or https://, got {parts.scheme}://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("The URL holds credentials; expected none: they come from the AWS chain")
    if not parts.hostname:
        raise ValueError(f"{url}: no host name")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url}: expected scheme, host and port only, as in https://s3.example.com")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from None
    if port == 0:
        raise ValueError(f"{url}: port 0 is none to connect to")
    return Endpoint(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def is_localhost(host: str) -> bool:
    """Whether the name is `localhost` or ends in it: such names never leave this machine (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")
