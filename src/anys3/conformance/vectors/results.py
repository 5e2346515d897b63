"""What became of vectors, and the reports of it. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal
from xml.sax.saxutils import quoteattr

Outcome = Literal["pass", "fail", "blocked", "skipped"]


@dataclass(frozen=True, slots=True)
class VectorResult:
    """What became of one vector. `sentence` says why, with what was expected and what was got.

    `is_runner_error` marks a `fail` that says nothing about the endpoint: the vector could not be executed.
    """

    id: str
    group: str
    tags: tuple[str, ...]
    title: str
    outcome: Outcome
    is_runner_error: bool = False
    sentence: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


def exit_code(results: Sequence[VectorResult]) -> int:
    """Return 1 if a vector failed, else 3 if one was blocked, else 0."""
    outcomes = {each.outcome for each in results}
    return 1 if "fail" in outcomes else 3 if "blocked" in outcomes else 0


def counts(results: Sequence[VectorResult]) -> dict[str, int]:
    """Return how many vectors had each outcome; runner errors stand apart from failures.

    >>> counts([VectorResult("a-0001", "a", (), "", "fail", is_runner_error=True)])["runner_error"]
    1
    """
    found = Counter("runner_error" if each.is_runner_error else each.outcome for each in results)
    return {name: found[name] for name in ("pass", "fail", "runner_error", "blocked", "skipped")}


def to_json(results: Sequence[VectorResult]) -> str:
    """Return the report as JSON."""
    rows = [
        asdict(each)
        | {"tags": list(each.tags), "warnings": list(each.warnings), "seconds": round(each.seconds, 3)}
        for each in results
    ]
    report = {"total": len(results), "counts": counts(results), "results": rows}
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


def to_junit(results: Sequence[VectorResult]) -> str:
    """Return the report as JUnit XML: runner errors are errors, blocked vectors are skipped with a message."""
    found = counts(results)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        (
            f'<testsuite name="vectors" tests="{len(results)}" failures="{found["fail"]}" '
            f'errors="{found["runner_error"]}" skipped="{found["blocked"] + found["skipped"]}" '
            f'time="{sum(each.seconds for each in results):.3f}">'
        ),
    ]
    for each in results:
        name = _attribute(f"{each.id} {each.title}".strip())
        head = f'<testcase classname={_attribute(each.group)} name={name} time="{each.seconds:.3f}"'
        inner = "".join(_junit_parts(each))
        lines.append(f"  {head}>{inner}</testcase>" if inner else f"  {head}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def _junit_parts(result: VectorResult) -> Iterator[str]:
    if result.outcome == "fail":
        element = "error" if result.is_runner_error else "failure"
        yield f"<{element} message={_attribute(result.sentence)}/>"
    elif result.outcome == "blocked":
        yield f"<skipped message={_attribute(f'blocked: {result.sentence}')}/>"
    elif result.outcome == "skipped":
        yield f"<skipped message={_attribute(result.sentence)}/>"
    if result.warnings:
        text = "\n".join(result.warnings).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"<system-err>{_representable(text)}</system-err>"


def _attribute(text: str) -> str:
    return quoteattr(_representable(text))


def _representable(text: str) -> str:
    """Return the text without what XML 1.0 cannot hold."""
    return "".join(
        character
        if character in "\t\n\r" or (character >= " " and not "\ud800" <= character <= "\udfff" and character not in "\ufffe\uffff")
        else f"\\x{ord(character):02x}"
        for character in text
    )  # fmt: skip


def summary(results: Sequence[VectorResult]) -> str:
    """Return the console's text: what failed and why, what was blocked, then the counts."""
    lines: list[str] = []
    for title, rows in (
        ("Failed", [each for each in results if each.outcome == "fail" and not each.is_runner_error]),
        ("Could not be executed (definition or runner)", [each for each in results if each.is_runner_error]),
        ("Blocked", [each for each in results if each.outcome == "blocked"]),
    ):
        if rows:
            lines += [
                f"{title}:",
                *(f"  {each.id}  {each.title}\n      {each.sentence}" for each in rows),
                "",
            ]
    warned = [f"  {each.id}  {warning}" for each in results for warning in each.warnings]
    if warned:
        lines += ["Warnings:", *warned, ""]
    found = counts(results)
    lines.append(
        f"{len(results)} vectors: {found['pass']} pass, {found['fail']} fail, {found['runner_error']} runner errors, "
        f"{found['blocked']} blocked, {found['skipped']} skipped"
    )
    return "\n".join(lines) + "\n"
