"""The settings of `anys3 serve`, one by one: name, help, and how each is read from its text.

`OPTIONS` is the one table of them; the command line, the environment and the file are read by it (config.py).
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anys3.server.strictness import parse_annex, parse_profiles
from anys3.store.opening import BLOBS_FORM, check_blobs, check_index

DEFAULT_PORT = 9000
DEFAULT_METRICS_PORT = 9102


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens; port 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost counts as reachable."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


DEFAULT_LISTEN = Listen("127.0.0.1", DEFAULT_PORT)


@dataclass(frozen=True, slots=True)
class WantedBucket:
    """A bucket that is to exist from the start."""

    name: str
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `parse` reads its text and raises ValueError with what was expected."""

    name: str
    help: str
    parse: Callable[[str], object] = str
    metavar: str = ""
    is_list: bool = False
    is_switch: bool = False
    field: str = ""
    """The field of `Settings`; its name where that is left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.name)
        if self.is_switch:
            object.__setattr__(self, "parse", parse_switch)

    @property
    def expected(self) -> str:
        """What a value of it looks like, for messages."""
        if self.is_switch:
            return "true or false"
        return f"an array of {self.metavar}" if self.is_list else self.metavar

    @property
    def flag(self) -> str:
        """Its spelling on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its spelling in the environment."""
        return "ANYS3_" + self.name.upper()


def parse_place(text: str) -> str:
    """Return the name of a directory, or a URL. An empty one is a script's variable that is not set."""
    if not text:
        raise ValueError(f"expected the name of a directory, or a URL, got {text!r}")
    return text


def parse_directory(text: str) -> Path:
    """Return a directory. Path("") would be the current one."""
    if not text:
        raise ValueError(f"expected the name of a directory, got {text!r}")
    return Path(text)


def parse_listen(text: str, default_port: int = DEFAULT_PORT) -> Listen:
    """Return where to listen, from `HOST:PORT`, `HOST`, `PORT`, `:PORT` or `[v6]:PORT`.

    >>> str(parse_listen("9000")), str(parse_listen("[::1]:80")), str(parse_listen(":9000"))
    ('127.0.0.1:9000', '[::1]:80', '0.0.0.0:9000')
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = ("127.0.0.1", text) if text.isdigit() else (text, str(default_port))
    elif not host:
        host = "0.0.0.0"  # noqa: S104 (`:9000` is what people write for every address; needs --plain-http)
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"expected HOST:PORT with a port from 0 to 65535, got {text!r}")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


def parse_metrics(text: str) -> Listen:
    """Return where metrics are told, in the forms of `parse_listen`.

    >>> str(parse_metrics("9102")), str(parse_metrics("10.0.0.11"))
    ('127.0.0.1:9102', '10.0.0.11:9102')
    """
    return parse_listen(text, DEFAULT_METRICS_PORT)


def default_workers() -> int:
    """Return one worker for each core that this process may use; one where ports can't be shared."""
    if sys.platform != "linux":
        return 1
    return min(len(os.sched_getaffinity(0)), 256)


def parse_workers(text: str) -> int:
    """Return a number of processes; `auto` is one for each core that this process may use."""
    if text == "auto":
        return default_workers()
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
        raise ValueError(f"expected a number from 1 to 256, or auto, got {text!r}")
    return int(text)


def parse_durability(text: str) -> bool:
    """Return whether writes may be acknowledged before they are on the disk."""
    if text not in ("durable", "relaxed"):
        raise ValueError(f"expected durable or relaxed, got {text!r}")
    return text == "relaxed"


def parse_region(text: str) -> str:
    """Return a region name as SigV4's scope can carry it."""
    if not text or not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise ValueError(f"expected letters, digits and dashes, such as us-east-1, got {text!r}")
    return text


def parse_domain(text: str) -> str:
    """Return a host name under which buckets are addressed, in lower case, without a port."""
    domain = text.strip().rstrip(".").lower()
    if not domain or not all(c.isascii() and (c.isalnum() or c in "-.") for c in domain) or domain[0] == ".":
        raise ValueError(f"expected a host name without port, such as s3.example.com, got {text!r}")
    return domain


def parse_bucket(text: str) -> WantedBucket:
    """Return a bucket to make at start: `NAME`, or `NAME:public`."""
    name, colon, suffix = text.strip().partition(":")
    if not name or (colon and suffix != "public"):
        raise ValueError(f"expected NAME or NAME:public, got {text!r}")
    return WantedBucket(name, bool(colon))


def parse_switch(text: str) -> bool:
    """Return the truth that a word states."""
    truth = {"1": True, "true": True, "yes": True, "on": True}
    truth |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.lower() not in truth:
        raise ValueError(f"expected true or false, got {text!r}")
    return truth[text.lower()]


OPTIONS: tuple[Option, ...] = (
    Option(
        "dir",
        "the store's directory, made if it is missing (default: ./data)",
        parse_directory,
        "DIR",
        field="directory",
    ),
    Option(
        "index",
        "keep the index in a database that any number of servers share, postgresql://USER@HOST/DATABASE; needs"
        " --blobs, and no DIR. A command line is seen by others: give a password by ANYS3_INDEX or PGPASSWORD",
        check_index,
        "URL",
    ),
    Option(
        "blobs",
        f"keep large contents in {BLOBS_FORM} (default: in DIR)",
        check_blobs,
        "URL",
    ),
    Option("memory", "keep everything in memory; all is forgotten at the end", is_switch=True),
    Option(
        "durability",
        "durable (default): a write is on the disk before it is acknowledged; relaxed: it may not be, power loss"
        " takes the writes of the last seconds; for tests and comparisons",
        parse_durability,
        "MODE",
        field="is_relaxed",
    ),
    Option(
        "listen",
        "where to listen (default: 127.0.0.1:9000); port 0 takes a free one",
        parse_listen,
        "HOST:PORT",
    ),
    Option(
        "plain_http",
        "allow plain HTTP on an address that other machines reach, for use behind a proxy that speaks TLS",
        is_switch=True,
    ),
    Option(
        "workers",
        "worker processes; auto is one for each core (default: auto; 1 with --memory)",
        parse_workers,
        "N",
    ),
    Option(
        "region", "the region's name (default: us-east-1, which always works as well)", parse_region, "NAME"
    ),
    Option(
        "domain",
        "also answer virtual-host requests, BUCKET.DOMAIN; may be repeated",
        parse_domain,
        "DOMAIN",
        is_list=True,
        field="domains",
    ),
    Option("tls_cert", "the certificate chain, PEM; read again on SIGHUP", Path, "FILE"),
    Option("tls_key", "the certificate's private key, PEM", Path, "FILE"),
    Option("tls_self_signed", "speak TLS with a certificate of its own", is_switch=True),
    Option(
        "profile",
        "strict mode: serve these profiles and refuse the rest with 501, for example tier-1 or"
        " tier-2+presign-bucket-admin",
        parse_profiles,
        "SET",
        field="profiles",
    ),
    Option(
        "sigv2",
        "accept signatures of version 2 as well (default: yes, but not with --profile)",
        is_switch=True,
        field="allow_sigv2",
    ),
    Option(
        "annex",
        "compatibility calls outside the tiers: all, none, or names with commas such as"
        " acl,versions (default: all, but none with --profile)",
        parse_annex,
        "CALLS",
    ),
    Option(
        "buckets", "buckets to make at start, such as photos,site:public", parse_bucket, "NAMES", is_list=True
    ),
    Option(
        "metrics",
        "answer GET /metrics (for Prometheus) and /health (for load balancers) there, over HTTP, to everybody who"
        " reaches it; a port of its own, such as 127.0.0.1:9102 (default: nowhere)",
        parse_metrics,
        "HOST:PORT",
    ),
    Option("access_log", "write one line for each request to stderr", is_switch=True),
    Option(
        "explain_signatures",
        "say in the answer, too, why a signature does not match (default: on loopback addresses only)",
        is_switch=True,
    ),
)
"""Every setting, in the order in which the help shows them."""
