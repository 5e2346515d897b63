"""What `anys3 serve` can be told: flags over environment (ANYS3_*) over anys3.toml, as one frozen value.

`OPTIONS` is the one table of settings; the command line, the environment and the file are read by it.
The environment is an argument: only the command line reads the process's own.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anys3.server.credentials import KeyPair, check_root_key
from anys3.server.refusals import Exit, Refusal
from anys3.server.strictness import parse_annex, parse_profiles

DEFAULT_DIRECTORY = "data"
DEFAULT_PORT = 9000
CONFIG_FILE = "anys3.toml"


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


@dataclass(frozen=True, slots=True)
class WantedBucket:
    """A bucket that is to exist from the start."""

    name: str
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything `anys3 serve` needs to know. `directory` None: keep everything in memory."""

    directory: Path | None = Path(DEFAULT_DIRECTORY)
    listen: Listen = Listen("127.0.0.1", DEFAULT_PORT)
    plain_http: bool = False
    workers: int = 1
    is_relaxed: bool = False
    """Whether writes are acknowledged before they are on the disk."""
    region: str = "us-east-1"
    domains: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    profiles: frozenset[str] | None = None
    annex: frozenset[str] | None = None
    allow_sigv2: bool = True
    buckets: tuple[WantedBucket, ...] = ()
    access_log: bool = False
    explain_signatures: bool | None = None
    """Whether answers say why a signature does not match; None: on loopback only."""
    root_key: KeyPair | None = None
    root_key_source: str = ""
    """The variable that `root_key`'s secret came from."""
    warnings: tuple[str, ...] = ()

    @property
    def explains_signatures(self) -> bool:
        """Whether answers say why a signature does not match."""
        given = self.explain_signatures
        return self.listen.is_loopback if given is None else given

    @property
    def is_tls(self) -> bool:
        """Whether the server speaks HTTPS."""
        return self.tls_self_signed or self.tls_cert is not None


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


def parse_listen(text: str) -> Listen:
    """Return where to listen, from `HOST:PORT`, `HOST`, `PORT`, `:PORT` or `[v6]:PORT`.

    >>> str(parse_listen("9000")), str(parse_listen("[::1]:80")), str(parse_listen(":9000"))
    ('127.0.0.1:9000', '[::1]:80', '0.0.0.0:9000')
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = ("127.0.0.1", text) if text.isdigit() else (text, str(DEFAULT_PORT))
    elif not host:
        host = "0.0.0.0"  # noqa: S104 (`:9000` is what people write for every address; needs --plain-http)
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"expected HOST:PORT with a port from 0 to 65535, got {text!r}")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


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
        Path,
        "DIR",
        field="directory",
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
    Option("access_log", "write one line for each request to stderr", is_switch=True),
    Option(
        "explain_signatures",
        "say in the answer, too, why a signature does not match (default: on loopback addresses only)",
        is_switch=True,
    ),
)
"""Every setting, in the order in which the help shows them."""

ROOT_KEY_VARIABLES = (
    ("ANYS3_ACCESS_KEY_ID", "ANYS3_SECRET_ACCESS_KEY"),
    ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
)
"""Where a root key may be given, the first pair that is set wins."""


def default_workers() -> int:
    """Return one worker for each core that this process may use; one where ports can't be shared."""
    if sys.platform != "linux":
        return 1
    return min(len(os.sched_getaffinity(0)), 256)


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], config_file: Path | None = None
) -> Settings:
    """Return the settings of `anys3 serve`.

    `flags` are parsed values by option name; absent ones are missing. Raises Refusal (exit code 2, or 7
    for a root key that can't be accepted).
    """
    if config_file is None and environment.get("ANYS3_CONFIG"):
        config_file = Path(environment["ANYS3_CONFIG"])
    from_file = _read_file(config_file)
    from_environment = _read_environment(environment)
    values = {**from_file, **from_environment, **flags}
    warnings = _unknown_variables(environment)
    if flags.get("memory") and "dir" in flags:
        raise Refusal(Exit.USAGE, f"DIR {str(flags['dir'])!r} and --memory exclude each other: leave one out")
    if "dir" in flags and "memory" not in flags:
        values["memory"] = False
    return _settings(values, _root_key(environment), warnings)


def _settings(values: dict[str, Any], root: tuple[KeyPair | None, str], warnings: list[str]) -> Settings:
    in_memory = values.pop("memory", False)
    if in_memory:
        values["dir"] = None
        values.setdefault("workers", 1)
    values.setdefault("workers", default_workers())
    if values.get("profile") is not None:
        values.setdefault("annex", frozenset())
        values.setdefault("sigv2", False)
    fields = {option.field: values[option.name] for option in OPTIONS if option.name in values}
    settings = Settings(**fields, root_key=root[0], root_key_source=root[1], warnings=tuple(warnings))
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """Refuse what can't be meant (HTTP-02: plain HTTP beyond loopback is asked for by name)."""
    if settings.directory is None and settings.workers > 1:
        raise Refusal(Exit.USAGE, "--memory works with one process only: leave --workers out, or give a DIR")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise Refusal(Exit.USAGE, "--tls-cert and --tls-key belong together: give both, or --tls-self-signed")
    if settings.tls_self_signed and settings.tls_cert is not None:
        raise Refusal(Exit.USAGE, "--tls-self-signed makes its own certificate: leave --tls-cert out, or it")
    if not (settings.is_tls or settings.plain_http or settings.listen.is_loopback):
        raise Refusal(
            Exit.USAGE,
            f"plain HTTP on {settings.listen} could be read by others: give --tls-cert and --tls-key, or"
            " --tls-self-signed, or --plain-http if a proxy in front speaks TLS",
        )
    if settings.root_key is not None:
        check_root_key(settings.root_key, settings.root_key_source, settings.listen.is_loopback)


def _read_file(config_file: Path | None) -> dict[str, Any]:
    path = config_file or Path(CONFIG_FILE)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if config_file is None:
            return {}
        raise Refusal(Exit.USAGE, f"--config {str(path)!r}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refusal(Exit.USAGE, f"{path}: can't be read as TOML: {error}") from None
    options = {option.name: option for option in OPTIONS}
    values = {}
    for key, value in table.items():
        option = options.get(key.replace("-", "_"))
        if option is None:
            raise Refusal(Exit.USAGE, f"{path}: unknown setting {key!r}; known are {', '.join(options)}")
        values[option.name] = _parse(option, _toml_text(option, value, f"{path}: {key}"), f"{path}: {key}")
    return values


def _toml_text(option: Option, value: object, where: str) -> list[str]:
    """Return a TOML value as the texts that `option.parse` reads."""
    if option.is_switch and isinstance(value, bool):
        return [str(value).lower()]
    if option.is_list and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value).split(",") if option.is_list else [str(value)]
    raise Refusal(Exit.USAGE, f"{where}: expected {option.expected}, got {value!r}")


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for option in OPTIONS:
        text = environment.get(option.variable)
        if text is None or (text == "" and not option.is_switch):
            continue
        texts = [item for item in text.split(",") if item.strip()] if option.is_list else [text]
        values[option.name] = _parse(option, texts, option.variable)
    return values


def _parse(option: Option, texts: Sequence[str], where: str) -> object:
    try:
        parsed = [option.parse(text) for text in texts]
    except ValueError as error:
        raise Refusal(Exit.USAGE, f"{where}: {error}") from None
    return tuple(parsed) if option.is_list else parsed[0]


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {option.variable for option in OPTIONS} | {"ANYS3_CONFIG"}
    known |= {variable for pair in ROOT_KEY_VARIABLES for variable in pair}
    names = sorted(name for name in environment if name.startswith("ANYS3_") and name not in known)
    return [f"{name} is set but means nothing to this version" for name in names]


def _root_key(environment: Mapping[str, str]) -> tuple[KeyPair | None, str]:
    """Return the root key that the environment gives, and the variable of its secret."""
    for id_variable, secret_variable in ROOT_KEY_VARIABLES:
        key_id, secret = environment.get(id_variable), environment.get(secret_variable)
        if key_id is None and secret is None:
            continue
        if not key_id or not secret:
            empty = secret_variable if key_id else id_variable
            raise Refusal(
                Exit.INSECURE_KEY,
                f"{empty} is missing or empty: set {id_variable} and {secret_variable} both, or unset both"
                " and a key pair is generated",
            )
        return KeyPair(key_id, secret), secret_variable
    return None, ""
