"""What a run of the kit found: the values behind the table, the page and the JSON file, whose shape they are.

`--json` writes a `Record` as it stands here: field by field, in these units; what is null was not measured.
"""

from __future__ import annotations

import os
import platform
import sysconfig
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bench.stage import Measurement, Sizes
from bench.summary import Spread

VERSION = 1
LIBRARIES = ("uvloop", "httptools", "lmdb", "isal", "awscrt", "botocore", "boto3")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    file_system: str
    python: str
    libraries: dict[str, str]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One target: what it is, whether a write is on the disk before its answer, and which cores it had."""

    name: str
    title: str
    version: str
    syncs: str
    server_cores: str
    client_cores: str


@dataclass(frozen=True, slots=True)
class Row:
    """One workload with one number of connections on one target.

    Spreads are over the rounds. `rate` is operations a second, `cpu_us` CPU microseconds of all server
    processes per operation, `client_cpu_us` the same of the load client, `bytes_rate` bytes of bodies a second,
    `cpu_s_per_gb` CPU seconds of the server per 10^9 bytes of bodies. `cpu_ratio` and `rate_ratio` are against
    the first target, round by round. `share` is the part of what the floor in `share_of` says is possible.
    `rss_peak_mib` is the greatest of the rounds, with the pages of mapped files, `anonymous_mib` without them.
    `syncs` is calls that wait for the disk per operation, from a pass of its own under strace. `engine_cpu_us` is of the
    engines that the store lies on, told apart from `cpu_us`.
    """

    workload: str
    title: str
    unit: str
    connections: int
    target: str
    op_bytes: int | None
    op_keys: int
    operations: int
    rate: Spread | None
    bytes_rate: Spread | None
    p50_ms: Spread | None
    p99_ms: Spread | None
    p999_ms: Spread | None
    cpu_us: Spread | None
    cpu_s_per_gb: Spread | None
    client_cpu_us: Spread | None
    rss_peak_mib: float | None
    anonymous_mib: float | None
    syncs: float | None
    cpu_ratio: Spread | None
    rate_ratio: Spread | None
    share: float | None
    share_of: str
    oddities: dict[str, int]
    sample: str
    note: str
    rounds: list[Measurement]
    engine_cpu_us: Spread | None = None


@dataclass(frozen=True, slots=True)
class FloorFigure:
    """One floor of this machine: a spread over rounds, in `unit`."""

    name: str
    title: str
    unit: str
    value: Spread


@dataclass(frozen=True, slots=True)
class Record:
    """All of one run. `date` is UTC, ISO 8601; `missing` says why a target or a workload was left out."""

    version: int
    date: str
    command: str
    tls: bool
    rounds: int
    seconds: float
    sizes: Sizes
    machine: Machine
    targets: list[TargetFacts]
    floors: list[FloorFigure]
    rows: list[Row]
    missing: list[str]

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def this_machine() -> Machine:
    """Return the machine that this runs on."""
    information = _lines("/proc/cpuinfo")
    processor = next((text for name, text in information if name == "model name"), platform.machine())
    memory = next((text for name, text in _lines("/proc/meminfo") if name == "MemTotal"), "0 kB")
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Machine(
        processor=processor,
        cores=os.cpu_count() or 1,
        memory_gib=round(int(memory.split()[0]) / (1 << 20), 1),
        kernel=f"{platform.system()} {platform.release()}",
        file_system=file_system(Path(tempfile.gettempdir())),
        python=f"{platform.python_implementation()} {platform.python_version()} ({_build()})",
        libraries=libraries,
    )


def _build() -> str:
    """Return how the interpreter was compiled: the same server costs a seventh less on an optimised one."""
    words = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return "profile guided build" if "--enable-optimizations" in words else "plain build"


def _lines(path: str) -> list[tuple[str, str]]:
    """Return the names and values of a file of /proc; none where there is no such file."""
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [(name.strip(), text.strip()) for name, _, text in (line.partition(":") for line in lines)]


def file_system(path: Path) -> str:
    """Return the kind of file system that a path is on: that of the longest mount point above it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "not known"
    above = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(above, key=lambda each: len(each[0]))[1] if above else "not known"
