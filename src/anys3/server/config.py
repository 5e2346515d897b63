"""What `anys3 serve` is told: flags over environment (ANYS3_*) over anys3.toml, as one frozen value.

The environment is an argument: only the command line reads the process's own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anys3.server.credentials import KeyPair, check_root_key
from anys3.server.options import (
    DEFAULT_LISTEN,
    DEFAULT_METRICS_PORT,
    OPTIONS,
    Listen,
    Option,
    WantedBucket,
    default_workers,
)
from anys3.server.refusals import Exit, Refusal
from anys3.store.opening import BLOBS_FORM, INDEX_FORM, Location
from anys3.store.starting import Unsuitable

DEFAULT_DIRECTORY = "data"
CONFIG_FILE = "anys3.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything `anys3 serve` needs to know."""

    directory: Path | None = Path(DEFAULT_DIRECTORY)
    """Where the store lies; with an `index`, where the audit log and a copy of the root key go, if anywhere."""
    index: str = ""
    blobs: str = ""
    listen: Listen = DEFAULT_LISTEN
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
    metrics: Listen | None = None
    """Where metrics and health are told; None: nowhere."""
    access_log: bool = False
    explain_signatures: bool | None = None
    """Whether answers say why a signature does not match; None: on loopback only."""
    root_key: KeyPair | None = None
    root_key_source: str = ""
    """The variable that `root_key`'s secret came from."""
    warnings: tuple[str, ...] = ()

    @property
    def location(self) -> Location:
        """Where the store lies."""
        return Location(None if self.index else self.directory, self.index, self.blobs, self.is_relaxed)

    @property
    def explains_signatures(self) -> bool:
        """Whether answers say why a signature does not match."""
        given = self.explain_signatures
        return self.listen.is_loopback if given is None else given

    @property
    def is_tls(self) -> bool:
        """Whether the server speaks HTTPS."""
        return self.tls_self_signed or self.tls_cert is not None


ROOT_KEY_VARIABLES = (
    ("ANYS3_ACCESS_KEY_ID", "ANYS3_SECRET_ACCESS_KEY"),
    ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
)
"""Where a root key may be given, the first pair that is set wins."""
PLACES = {"dir": "a directory", "index": INDEX_FORM, "blobs": BLOBS_FORM, "config": "a file"}
"""The settings that decide which store it is, and what each looks like."""


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], config_file: Path | None = None
) -> Settings:
    """Return the settings of `anys3 serve`.

    `flags` are parsed values by option name; absent ones are missing. Raises Refusal (exit code 2, or 7
    for a root key that can't be accepted).
    """
    if config_file is None and (path := place_in(environment, "config")):
        config_file = Path(path)
    from_file = _read_file(config_file)
    from_environment = _read_environment(environment, flags)
    values = {**from_file, **from_environment, **flags}
    warnings = _unknown_variables(environment)
    _choose_place(values, flags)
    return _settings(values, _root_key(environment), warnings)


def place_in(environment: Mapping[str, str], name: str) -> str:
    """Return what the environment says of one of `PLACES`; "" if it says nothing.

    A variable that is set but empty is refused, where other settings count as not set then: nobody means the
    store in ./data by ANYS3_INDEX="$DATABASE". Raises Refusal.
    """
    variable = f"ANYS3_{name.upper()}"
    text = environment.get(variable)
    if text == "":
        raise Refusal(
            Exit.USAGE,
            f"{variable} is set, but empty: expected {PLACES[name]}; give one, or unset {variable}",
        )
    return text or ""


def _choose_place(values: dict[str, Any], flags: Mapping[str, object]) -> None:
    """Let what was typed say where the store lies: what it excludes was meant for other starts."""
    typed = [name for name in ("dir", "index", "blobs") if name in flags]
    if flags.get("memory"):
        if typed:
            what = f"DIR {str(flags['dir'])!r}" if typed[0] == "dir" else f"--{typed[0]}"
            raise Refusal(Exit.USAGE, f"{what} and --memory exclude each other: leave one out")
        values["index"] = values["blobs"] = ""
    elif "dir" in typed or "index" in typed:
        values["memory"] = False


def _settings(values: dict[str, Any], root: tuple[KeyPair | None, str], warnings: list[str]) -> Settings:
    in_memory = values.pop("memory", False)
    if in_memory:
        if values.get("index"):
            raise Refusal(Exit.USAGE, "memory and an index exclude each other: leave one out")
        values["dir"] = None
        values.setdefault("workers", 1)
    elif values.get("index"):
        values.setdefault("dir", None)
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
    try:
        settings.location.check()
    except Unsuitable as error:
        raise Refusal(Exit.USAGE, str(error)) from None
    if settings.location.is_in_memory and settings.workers > 1:
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
    if (
        settings.metrics is not None
        and settings.metrics.port
        and settings.metrics.port == settings.listen.port
    ):
        raise Refusal(
            Exit.USAGE,
            f"metrics are never told beside S3: give --metrics another port than {settings.listen.port}, such as"
            f" {DEFAULT_METRICS_PORT}",
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


def _read_environment(environment: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, Any]:
    values = {}
    for option in OPTIONS:
        text = environment.get(option.variable)
        if option.name in PLACES:
            is_overruled = option.name in flags or flags.get("memory")
            text = None if is_overruled else place_in(environment, option.name) or None
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
