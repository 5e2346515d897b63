"""Known failures, so that a suite stays green until something changes, for better or for worse.

A baseline is a text file: one name of a check a line (`PUT-03/zero-bytes`), `#` begins a comment.
"""

from __future__ import annotations

from collections.abc import Iterable

from anys3.conformance.outcomes import Outcome, Result

_FAILING = (Outcome.FAIL, Outcome.ABSENT)


def parse(text: str) -> list[str]:
    r"""Return the names in a baseline.

    >>> parse("# known\nPUT-03/zero-bytes  # since 2.1\n")
    ['PUT-03/zero-bytes']
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def render(results: Iterable[Result]) -> str:
    """Return a baseline of the failures of a run."""
    names = [result.check for result in results if result.outcome in _FAILING]
    return "".join(f"{name}\n" for name in ["# Known failures, for `anys3 check --baseline`.", *names])


def problems(listed: Iterable[str], results: Iterable[Result], known: Iterable[str]) -> list[str]:
    """Return what differs from a baseline, one sentence each; none: it was met exactly.

    An unlisted failure, a listed check that passes now, and a listed name that is no check any more or was
    not run are problems. `known` are the names of all checks.
    """
    found = {result.check: result for result in results}
    every = set(known)
    names = list(dict.fromkeys(listed))
    sentences = [
        f"{result.check} fails and is not in the baseline: {result.sentence}"
        for result in found.values()
        if result.outcome in _FAILING and result.check not in names
    ]
    for name in names:
        if name not in every:
            sentences.append(f"{name} is in the baseline and there is no such check any more: take it out")
        elif name not in found:
            sentences.append(f"{name} is in the baseline and was not run")
        elif found[name].outcome is Outcome.PASS:
            sentences.append(f"{name} is in the baseline and passes now: take it out")
        elif found[name].outcome not in _FAILING:
            sentences.append(f"{name} is in the baseline and was not judged: {found[name].outcome.value}")
    return sentences
