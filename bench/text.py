"""The record as a text for a terminal: the machine and the targets first, then a table for each workload."""

from __future__ import annotations

from itertools import groupby

from bench.record import Record, Row
from bench.stage import MIB, Sizes
from bench.summary import Spread, middle

HEADS = (
    "target",
    "rate",
    "",
    "p50 ms",
    "p99 ms",
    "p99.9",
    "CPU",
    "",
    "client",
    "RSS MiB",
    "anon",
    "syncs",
    "CPU x",
    "rate x",
    "share",
)
WIDTHS = (9, 15, 8, 8, 8, 9, 13, 8, 8, 7, 7, 7, 7, 7)


def as_text(record: Record) -> str:
    """Return the whole text."""
    lines = [*_opening(record), ""]
    for _, rows in groupby(record.rows, lambda row: (row.workload, row.connections)):
        lines += [*_table(list(rows)), ""]
    if record.missing:
        lines += ["left out:", *(f"  {reason}" for reason in record.missing), ""]
    return "\n".join([*lines, *_legend(record)])


def _opening(record: Record) -> list[str]:
    machine = record.machine
    named = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    lines = [
        f"{record.date}  {record.command}",
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}, {machine.file_system}",
        f"{machine.python}, {named}",
        f"{'HTTPS' if record.tls else 'HTTP'}, {rounds(record)} in turn, about {record.seconds:g} s each",
        stored(record.sizes),
        "",
        "targets, and whether a write is on the disk before its answer:",
    ]
    names = max(17, *(len(target.name) for target in record.targets)) + 1
    for target in record.targets:
        cores = f"server on {target.server_cores}, client on {target.client_cores}"
        lines.append(f"  {target.name:<{names}}{target.version}; {cores}")
        lines.append(f"  {'':<{names}}{target.syncs}")
    lines += ["", "floors of this machine, median (least to greatest):"]
    lines += [f"  {_span(floor.value)} {floor.unit}: {floor.title}" for floor in record.floors]
    return lines


def rounds(record: Record) -> str:
    """Return how many rounds there were, in words."""
    return "1 round" if record.rounds == 1 else f"{record.rounds} rounds"


def stored(sizes: Sizes) -> str:
    """Return what the workloads found or stored, in words."""
    large = f"large objects of {number(sizes.large_bytes / MIB)} MiB, ranges out of {number(sizes.range_source_bytes / MIB)}"
    files = f"{sizes.sdk_small_files} small files and {sizes.sdk_large_files} of {number(sizes.sdk_large_bytes / MIB)} MiB"
    return f"{sizes.keys} keys; {large} MiB; SDKs: {files}"


def _table(rows: list[Row]) -> list[str]:
    first = rows[0]
    connections = f", {connections_of(first)}" if first.connections else ""
    rate, cpu = units(first)
    heads = dict(zip(HEADS, HEADS, strict=True)) | {"rate": rate, "CPU": cpu}
    lines = [f"{first.workload}{connections}: {first.title}"]
    names = max(17, *(len(row.target) for row in rows)) + 1
    lines.append(_line([heads[name] for name in HEADS], names))
    for row in rows:
        lines.append(_line(_cells(row), names))
        if row.engine_cpu_us:
            lines.append(f"    {_engines(row, row.engine_cpu_us)}")
        if row.note:
            lines.append(f"    {row.note}")
        if row.oddities:
            lines.append(f"    not as it should be: {oddities(row)}")
    if shares := {row.share_of for row in rows if row.share is not None}:
        lines.append(f"    share: of {', '.join(sorted(shares))}")
    return lines


def connections_of(row: Row) -> str:
    """Return how many connections a row had, in words."""
    if not row.connections:
        return "all that the client opens"
    return "1 connection" if row.connections == 1 else f"{row.connections} connections"


def oddities(row: Row) -> str:
    """Return what was not as it should be at a row's answers, with the first that was seen."""
    seen = ", ".join(f"{count} x {name}" for name, count in row.oddities.items())
    sample = "".join(
        letter if letter.isascii() and letter.isprintable() else " " for letter in row.sample[:160]
    )
    return f"{seen}; {' '.join(sample.split())}" if sample.strip() else seen


def units(row: Row) -> tuple[str, str]:
    """Return what the rate and the CPU of a row are told in."""
    if row.op_keys:
        return "keys/s", "µs/page"
    if row.unit == "files":
        return "files/s", "µs/file"
    return ("MiB/s", "CPU s/GB") if row.op_bytes else ("op/s", "CPU µs")


def main_figures(row: Row) -> tuple[Spread | None, Spread | None]:
    """Return a row's rate and CPU, in its units."""
    if row.op_keys:
        return _times(row.rate, row.op_keys), row.cpu_us
    if row.op_bytes and row.unit != "files":
        return _times(row.bytes_rate, 1 / (1 << 20)), row.cpu_s_per_gb
    return row.rate, row.cpu_us


def _times(value: Spread | None, factor: float) -> Spread | None:
    return _scaled(value, factor) if value else None


def _cells(row: Row) -> list[str]:
    rate, cpu = main_figures(row)
    return [
        row.target,
        number(middle(rate)),
        _range(rate),
        *(number(middle(value)) for value in (row.p50_ms, row.p99_ms, row.p999_ms)),
        "not seen" if cpu is None and rate else number(middle(cpu)),
        _range(cpu),
        number(middle(row.client_cpu_us)),
        number(row.rss_peak_mib),
        number(row.anonymous_mib),
        "-" if row.syncs is None else f"{row.syncs:.2f}",
        number(middle(row.cpu_ratio)),
        number(middle(row.rate_ratio)),
        "-" if row.share is None else f"{row.share:.0%}",
    ]


def _engines(row: Row, used: Spread) -> str:
    """Return what the store's engines used, in the units of the row's own CPU."""
    if row.op_bytes and row.unit != "files":
        return f"engines: {_span(_scaled(used, 1e3 / row.op_bytes))} CPU s/GB, beside the server's"
    return f"engines: {_span(used)} CPU µs per operation, beside the server's"


def _scaled(value: Spread, factor: float) -> Spread:
    return Spread(value.median * factor, value.low * factor, value.high * factor)


def _line(cells: list[str], names: int) -> str:
    """Return one line of a table; `names` is the width of its first column."""
    first, *rest = cells
    return (
        f"  {first:<{names}}{''.join(f'{cell:>{width}}' for cell, width in zip(rest, WIDTHS, strict=True))}"
    )


def number(value: float | None) -> str:
    """Return a number in three significant figures, or all digits before the point; thousands from 100,000 on.

    >>> number(12345.6), number(3.14159), number(0.01234), number(1_186_578), number(None)
    ('12346', '3.14', '0.012', '1187k', '-')
    """
    if value is None:
        return "-"
    if value >= 100_000:
        return f"{value / 1000:.0f}k"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _range(value: Spread | None) -> str:
    return f"{number(value.low)}-{number(value.high)}" if value else ""


def _span(value: Spread) -> str:
    return f"{number(value.median)} ({number(value.low)} to {number(value.high)})"


def _legend(record: Record) -> list[str]:
    return [
        "CPU: of all server processes, per operation. client: CPU µs of the load client per operation. RSS: the peaks",
        "of all server processes together; anon: without pages of mapped files, at the end of a load. syncs: calls that",
        f"wait for the disk per operation, counted apart under strace. CPU x, rate x: against {record.targets[0].name},",
        "round by round, the median. share: of what the floor allows.",
    ]
