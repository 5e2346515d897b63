"""The record as one HTML page with plots: it fetches nothing, has no script, and is light or dark as its reader."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from bench.plots import Bar, Line, bars, lines
from bench.record import Record, Row
from bench.summary import Spread, middle
from bench.text import connections_of, main_figures, number, oddities, rounds, stored, units

LATENCIES = ("p50 ms", "p99 ms", "p99.9 ms")
MEMORY = ("client µs", "RSS MiB", "anon. MiB", "syncs")
HEADS = ("target", "rate", "range", *LATENCIES, "cpu", "range", *MEMORY, "CPU ratio", "rate ratio", "share")


def as_html(record: Record) -> str:
    """Return the whole page."""
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    sections = [
        _workload(name, list(rows), record) for name, rows in groupby(record.rows, lambda row: row.workload)
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>S3 servers side by side, {escape(record.date[:10])}</title>",
            f"<style>{style}</style>\n</head>\n<body>\n<main>",
            *_opening(record),
            *_glance(record),
            *sections,
            *_floors(record),
            *_missing(record),
            *_legend(record),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _opening(record: Record) -> list[str]:
    machine = record.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    protocol = "HTTPS" if record.tls else "HTTP"
    facts = [
        f"<tr><th class=words>{escape(target.name)}</th><td class=words>{escape(target.version)}</td>"
        f"<td class=words>{escape(target.syncs)}</td>"
        f"<td class=words>server on {target.server_cores}, client on {target.client_cores}</td></tr>"
        for target in record.targets
    ]
    return [
        "<h1>S3 servers side by side</h1>",
        (
            f"<p>{escape(machine.processor)}, {machine.cores} cores, {machine.memory_gib} GiB; {escape(machine.kernel)}, "
            f"{escape(machine.file_system)}; {escape(machine.python)}. <time>{escape(record.date)}</time>.</p>"
        ),
        (
            f"<p>{protocol}. {rounds(record)}, in which the targets take turns; a load takes about "
            f"{record.seconds:g} s. Every request is signed by itself; every answer is read whole and its status "
            "compared. Values are medians of the rounds; whiskers and ranges go from the least to the greatest.</p>"
        ),
        f"<p class=faint><code>{escape(record.command)}</code><br>{escape(libraries)}<br>{escape(stored(record.sizes))}</p>",
        _grid(("target", "version", "is a write on the disk before its answer?", "cores"), facts, words=4),
    ]


def _floors(record: Record) -> list[str]:
    rows = [
        f"<tr><td class=words>{escape(floor.title)}</td><td>{number(floor.value.median)} {escape(floor.unit)}</td>"
        f"<td>{number(floor.value.low)} to {number(floor.value.high)}</td></tr>"
        for floor in record.floors
    ]
    return [
        "<h2>What this machine can do at best</h2>",
        _grid(("floor", "median", "least to greatest"), rows, words=1),
    ]


def _glance(record: Record) -> list[str]:
    """Return CPU per operation of all targets and workloads in one table: a target a row."""
    if len(record.targets) < 2:
        return []
    columns = list(dict.fromkeys((row.workload, row.connections) for row in record.rows))
    found = {(row.workload, row.connections, row.target): row for row in record.rows}
    names = [f"{name}{f', {number} c' if number else ''}" for name, number in columns]
    lines = []
    for target in record.targets:
        cells = [_ratio_cell(found.get((*column, target.name))) for column in columns]
        own = " class=own" if target is record.targets[0] else ""
        lines.append(f"<tr{own}><th>{escape(target.name)}</th>{''.join(cells)}</tr>")
    first = escape(record.targets[0].name)
    return [
        f"<h2>CPU per operation, in multiples of {first}</h2>",
        "<p>Of all server processes; the median of the rounds' ratios. Below 1 is less than it.</p>",
        _grid(("target", *names), lines, words=0),
    ]


def _ratio_cell(row: Row | None) -> str:
    ratio = row.cpu_ratio if row else None
    return f"<td>{f'{number(ratio.median)} &times;' if ratio else '&ndash;'}</td>"


def _workload(name: str, rows: Sequence[Row], record: Record) -> str:
    first = rows[0]
    rate, cpu = units(first)
    parts = [f"<h2>{escape(name)}</h2>", f"<p>{escape(first.title)}.</p>"]
    many = {row.connections for row in rows}
    if len(many) > 1:
        parts.append(_lines(rows, record, rate))
    for _, some in groupby(rows, lambda row: row.connections):
        parts += _table(list(some), record, rate, cpu)
    return "\n".join(parts)


def _lines(rows: Sequence[Row], record: Record, rate: str) -> str:
    """Return the plots of rate and p99 over numbers of connections."""

    def series(value: Callable[[Row], Spread | None]) -> list[Line]:
        found = []
        for target in record.targets:
            points = [(row.connections, value(row)) for row in rows if row.target == target.name]
            found.append(Line(target.name, [(x, y.median) for x, y in points if y]))
        return found

    shown = [
        _figure(f"{rate}: more is better", lines(f"{rate} over connections", rate, series(_rate))),
        _figure(
            "p99 in ms: less is better", lines("p99 over connections", "ms", series(lambda row: row.p99_ms))
        ),
    ]
    return f"<div class=plots>{''.join(shown)}</div>"


def _rate(row: Row) -> Spread | None:
    return main_figures(row)[0]


def _table(rows: Sequence[Row], record: Record, rate: str, cpu: str) -> list[str]:
    first = rows[0]
    own = record.targets[0].name
    figures = [(row, *main_figures(row)) for row in rows]
    plots = [
        _figure(
            f"{cpu} of the server: less is better",
            bars(cpu, "", [Bar(row.target, value, row.target == own) for row, _, value in figures if value]),
        ),
        _figure(
            f"{rate}: more is better",
            bars(rate, "", [Bar(row.target, value, row.target == own) for row, value, _ in figures if value]),
        ),
    ]
    lines = [_line(row, value, used, own) for row, value, used in figures]
    shares = sorted({row.share_of for row in rows if row.share is not None})
    of = f"<p class=faint>Share: of {escape(', '.join(shares))}.</p>" if shares else ""
    odd = [
        f"<p class=odd>{escape(row.target)}: {escape(row.note or oddities(row))}</p>"
        for row in rows
        if row.note or row.oddities
    ]
    return [
        f"<h3>{connections_of(first).capitalize()}</h3>",
        f"<div class=plots>{''.join(plots)}</div>",
        _grid([{"rate": rate, "cpu": cpu}.get(head, head) for head in HEADS], lines, words=0),
        of,
        *odd,
    ]


def _line(row: Row, rate: Spread | None, cpu: Spread | None, own: str) -> str:
    cells = [
        number(middle(rate)),
        _range(rate),
        *(number(middle(value)) for value in (row.p50_ms, row.p99_ms, row.p999_ms)),
        "not seen" if rate and not cpu else number(middle(cpu)),
        _range(cpu),
        number(middle(row.client_cpu_us)),
        number(row.rss_peak_mib),
        number(row.anonymous_mib),
        "&ndash;" if row.syncs is None else f"{row.syncs:.2f}",
        number(middle(row.cpu_ratio)),
        number(middle(row.rate_ratio)),
        "&ndash;" if row.share is None else f"{row.share:.0%}",
    ]
    kind = " class=own" if row.target == own else ""
    return f"<tr{kind}><th>{escape(row.target)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _range(value: Spread | None) -> str:
    return f"{number(value.low)}&ndash;{number(value.high)}" if value else ""


def _missing(record: Record) -> list[str]:
    if not record.missing:
        return []
    rows = "".join(f"<li>{escape(reason)}</li>" for reason in record.missing)
    return [f"<h2>Left out</h2>\n<ul>{rows}</ul>"]


def _legend(record: Record) -> list[str]:
    first = escape(record.targets[0].name)
    return [
        (
            "<footer><p>CPU is user and system time of all server processes. RSS is the peaks of all server processes "
            "together, anon. what of it is no page of a mapped file when a load has ended. Syncs are calls that wait for the disk per operation, counted in a pass of its own under strace. "
            f"&times; is against {first}, round by round, the median. Client µs is the load client's own CPU per operation.</p>"
        ),
        "<p>Written by <code>python -m bench run</code> of anys3; docs/benchmarking.md says more.</p></footer>",
    ]


def _figure(caption: str, plot: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{plot}</figure>"


def _grid(heads: Iterable[str], rows: Iterable[str], *, words: int) -> str:
    """Return a table that scrolls sideways where it is wider than the page; the first `words` columns are text."""
    cells = "".join(
        f"<th{' class=words' if at < words else ''}>{escape(head)}</th>" for at, head in enumerate(heads)
    )
    return f'<div class=scroll tabindex=0 role=region aria-label="table"><table><tr>{cells}</tr>{"".join(rows)}</table></div>'
