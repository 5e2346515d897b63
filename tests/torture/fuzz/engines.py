"""What drives the targets: Hypothesis, which changes inputs of the corpus, and atheris, guided by coverage."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.torture.fuzz import corpus, growth
from tests.torture.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[3]
SPARE_S = 60
"""How much longer a child may take than it was told."""
EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b"%", b"%00", b"%2F", b"%25", b"..", b"/", b"&", b"=", b";", b",", b":"),
    *(
        b"+",
        b" ",
        b"\t",
        b'"',
        b"'",
        b"<",
        b">",
        b"--",
        b"0",
        b"-1",
        b"9" * 20,
        b"\xff",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
    ),
    *(b"<!DOCTYPE a>", b"&#0;", b"]]>", b"bytes=", b"null", b"*", b"W/", b"{SIG}", b"host", b"x-amz-"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\n",
        b"0\r\n\r\n",
        b"Host: b\r\n",
        b"GET / HTTP/1.1\r\n",
    ),
]


@dataclass(slots=True)
class Run:
    """What came of one target."""

    target: str
    executions: int = 0
    added: list[bytes] = field(default_factory=list)
    finding: str = ""


def replay(name: str, target: Callable[[bytes], None] | None = None) -> int:
    """Run the corpus of a target; return its size. A finding is raised, with the input as a note."""
    call = target or TARGETS[name]
    inputs = corpus.read(name)
    for one in inputs:
        try:
            call(one)
        except Exception as error:
            error.add_note(f"{name}: {json.dumps(one.decode('latin-1'))}")
            raise
    return len(inputs)


def grow(name: str, count: int) -> int:
    """Look for work out of proportion; return how many parts of inputs were repeated."""
    done = 0
    inputs = corpus.read(name)
    for one in inputs[:: max(1, len(inputs) // 12)]:
        for start, end in growth.parts(one, count):
            growth.check(TARGETS[name], one, start, end)
            done += 1
    return done


@st.composite
def changed(draw: st.DrawFn, inputs: Sequence[bytes]) -> bytes:
    """Inputs of the corpus, cut, joined, and with words and bytes put in."""
    data = draw(st.sampled_from(inputs))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 8, 40])))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            put = draw(st.sampled_from(WORDS))
        elif kind == 1:
            put = draw(st.binary(max_size=4))
        elif kind == 2:
            other = draw(st.sampled_from(inputs))
            put = other[draw(st.integers(0, len(other))) :][:200]
        else:
            put = data[start:end] * draw(st.sampled_from([0, 2, 3, 30]))
        data = data[:start] + put + data[end:]
    return data


def by_hypothesis(name: str, examples: int, number: int | None = None, limit_s: float = 1e9) -> Run:
    """Run a target on examples; `number` is a seed, None: always the same examples."""
    run = Run(name)
    target = TARGETS[name]
    inputs = corpus.read(name) or [b""]
    end = time.monotonic() + limit_s

    @settings(
        max_examples=examples,
        derandomize=number is None,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(changed(inputs), changed(inputs), changed(inputs), st.binary(max_size=200)))
    def one(data: bytes) -> None:
        if time.monotonic() < end:
            run.executions += 1
            target(data)

    if number is not None:
        one = seed(number)(one)
    one()
    return run


def has_atheris() -> bool:
    """Return whether atheris can be used here."""
    command = [sys.executable, "-c", "import atheris"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def by_atheris(name: str, seconds: int, number: int, folder: Path) -> Run:
    """Run a target in a process of its own, guided by coverage; what is new comes back."""
    inputs = folder / name
    inputs.mkdir(parents=True)
    known = corpus.read(name)
    for index, one in enumerate(known):
        (inputs / f"seed-{index}").write_bytes(one)
    command = [
        *(sys.executable, "-m", "tests.torture.guided", name, str(inputs)),
        *(f"-max_total_time={seconds}", f"-seed={number or 1}", "-max_len=4096", "-timeout=10"),
        *("-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/{name}-found-"),
    ]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=seconds + SPARE_S,
        check=False,
    )
    told = ended.stderr.decode("utf-8", "replace")
    counted = EXECUTED.search(told)
    run = Run(name, int(counted[1]) if counted else 0)
    run.added = [file.read_bytes() for file in inputs.iterdir() if not file.name.startswith("seed-")]
    found = sorted(folder.glob(f"{name}-found-*"))
    if ended.returncode:
        shown = [json.dumps(file.read_bytes().decode("latin-1")) for file in found]
        run.finding = (
            f"{name}: exit {ended.returncode}, input {shown}\n{told[-3000:] + ended.stdout.decode()[-3000:]}"
        )
    return run
