"""`python -m bench list | run [WORKLOAD...] [--target NAME|URL]...`: S3 servers side by side, on this machine."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import peers, targets
from bench.stage import Sizes
from bench.text import as_text
from bench.turns import Plan, Turns, say
from bench.workloads import WORKLOADS, chosen

DESCRIPTION = (
    "Measures S3 servers side by side on this machine: speed, CPU, memory, and calls that wait for the disk."
)
EPILOG = """\
examples:
  python -m bench list
  python -m bench run get-4k put-4k
  python -m bench run get-4k --target anys3 --target seaweedfs --target minio
  python -m bench run put-4k --target anys3 --target anys3:relaxed --connections 1,16,64,256
  python -m bench run get-1g put-1g --target anys3 --large 256m
  AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \\
    python -m bench run --target http://127.0.0.1:9000 --pid "$(pgrep -o minio)" mixed-4k

Each target is started in a fresh directory on a free port of 127.0.0.1, and they take turns. A URL is a server
that runs already: its CPU, memory and syncs are seen only if it runs on this machine and --pid names it.
docs/benchmarking.md says what each figure means.
"""
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size(text: str) -> int:
    """Return a number of bytes: 4096, 16m, 1g.

    >>> size("16m")
    16777216
    """
    found = re.fullmatch(r"(\d+)([kmg]?)(?:i?b)?", text.lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 4096, 16m or 1g")
    return int(found[1]) * UNITS[found[2]]


def counts(text: str) -> tuple[int, ...]:
    """Return numbers of connections: 1,16,64.

    >>> counts("1,64")
    (1, 64)
    """
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of connections; write 1,16,64")
    return tuple(map(int, text.split(",")))


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def whole(text: str) -> int:
    """Return a whole number above 0."""
    if not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m bench", description=DESCRIPTION, epilog=EPILOG, formatter_class=form
    )
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name workloads and targets, and what each target syncs")
    run = commands.add_parser(
        "run", help="measure", description=DESCRIPTION, epilog=EPILOG, formatter_class=form
    )
    run.add_argument(
        "workloads",
        metavar="WORKLOAD",
        nargs="*",
        help="names of `list` (default: get-4k head put-4k delete mixed-4k)",
    )
    run.add_argument(
        "--target",
        metavar="NAME|URL",
        action="append",
        help="may be repeated; the first one is what ratios are against (default: anys3)",
    )
    run.add_argument(
        "--connections",
        metavar="N,N",
        type=counts,
        default=(),
        help="numbers of connections (default: each workload's own)",
    )
    run.add_argument(
        "--rounds", metavar="N", type=whole, default=3, help="how often targets take turns (default: 3)"
    )
    run.add_argument(
        "--seconds", metavar="S", type=positive, default=3.0, help="how long one load is to take (default: 3)"
    )
    run.add_argument(
        "--requests",
        metavar="N",
        type=whole,
        default=200_000,
        help="most operations of one load (default: 200000)",
    )
    run.add_argument("--tls", action="store_true", help="speak HTTPS, with a certificate of one day")
    run.add_argument(
        "--pid",
        metavar="N",
        type=whole,
        action="append",
        help="a process of the target given by URL; may be repeated",
    )
    run.add_argument("--unpinned", action="store_true", help="let servers and client run on any core")
    run.add_argument(
        "--sleeping-client",
        action="store_true",
        help="let a client with a core of its own sleep: the server then pays for waking it",
    )
    run.add_argument("--no-syncs", action="store_true", help="leave out the pass under strace")
    run.add_argument(
        "--keys",
        metavar="N",
        type=whole,
        default=Sizes().keys,
        help="keys that reads and lists find (default: 10000)",
    )
    run.add_argument(
        "--large",
        metavar="SIZE",
        type=size,
        default=Sizes().large_bytes,
        help="size of a large object (default: 1g)",
    )
    run.add_argument(
        "--range-of",
        metavar="SIZE",
        type=size,
        default=Sizes().range_source_bytes,
        help="size of the object that range-1m reads (default: 5g)",
    )
    run.add_argument(
        "--sdk-files",
        metavar="N,N,SIZE",
        default=None,
        help="small files, large files and the size of these (default: 5000,5,256m)",
    )
    run.add_argument("--json", metavar="FILE", type=Path, help="write all figures, round by round")
    run.add_argument("--html", metavar="FILE", type=Path, help="write a page with plots")
    return top


DEFAULT = ["get-4k", "head", "put-4k", "delete", "mixed-4k"]


def _sizes(asked: argparse.Namespace) -> Sizes:
    more = {}
    if asked.sdk_files:
        words = asked.sdk_files.split(",")
        if len(words) != 3:
            raise RuntimeError("--sdk-files takes three values, such as 5000,5,256m")
        more = dict(
            zip(("sdk_small_files", "sdk_large_files", "sdk_large_bytes"), map(size, words), strict=True)
        )
    return Sizes(keys=asked.keys, large_bytes=asked.large, range_source_bytes=asked.range_of, **more)


def _list() -> int:
    print("workloads:")
    for workload in WORKLOADS.values():
        connections = (
            ", ".join(map(str, workload.connections)) if workload.connections != (0,) else "its client's own"
        )
        print(f"  {workload.name:<22}{workload.title}; connections: {connections}")
    print("\ntargets:")
    for line in targets.OPTIONS.splitlines():
        print(f"  {line}")
    for name, product in peers.PRODUCTS.items():
        if name != "anys3":
            state = (
                "" if product.is_installed(peers.home_of(name)) else f"; python -m bench.peers install {name}"
            )
            print(
                f"  {name:<22}{product.title}; syncs: {product.syncs}{'; HTTPS' if product.has_tls else ''}{state}"
            )
    print(
        f"  {'http://HOST:PORT':<22}any other; credentials from the AWS chain (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...)"
    )
    return 0


def _run(asked: argparse.Namespace) -> int:
    for path in (asked.json, asked.html):
        if path and not path.resolve().parent.is_dir():
            raise RuntimeError(f"{path} can't be written: there is no folder {path.parent}")
    plan = Plan(
        workloads=chosen(asked.workloads or DEFAULT),
        targets=asked.target or ["anys3"],
        connections=asked.connections,
        rounds=asked.rounds,
        seconds=asked.seconds,
        most=asked.requests,
        tls=asked.tls,
        pids=tuple(asked.pid or ()),
        sizes=_sizes(asked),
        counts_syncs=not asked.no_syncs,
        is_pinned=not asked.unpinned,
        lets_client_sleep=asked.sleeping_client,
        command="python -m bench " + shlex.join(sys.argv[1:]),
    )
    record = Turns(plan).run()
    print(as_text(record))
    if asked.json:
        asked.json.write_text(json.dumps(record.as_json(), indent=1) + "\n", "utf-8")
        say(f"wrote {asked.json}")
    if asked.html:
        from bench.page import as_html

        asked.html.write_text(as_html(record), "utf-8")
        say(f"wrote {asked.html}")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the shape of a handler)
    raise KeyboardInterrupt


def main(words: Sequence[str]) -> int:
    """Run a command and return the exit code: 2 where something is missing, with what to do."""
    asked = parser().parse_args(words)
    signal.signal(signal.SIGTERM, _interrupt)  # `timeout` sends it: what was started must end then as well
    try:
        return _list() if asked.command == "list" else _run(asked)
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: stopped; all that was started has ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
