"""Several trials in one check, so that the first that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from anys3.conformance.outcomes import Absent, Failed

_MOST_SHOWN = 12


@contextmanager
def together() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Hand out `each`: every trial of a check stands in a block `with each():` of its own.

    At the end one Failed says what every failed trial said; it is Absent if all of them were.
    """
    found: list[Failed] = []

    @contextmanager
    def each() -> Iterator[None]:
        try:
            yield
        except Failed as error:
            found.append(error)

    yield each
    if found:
        kind = Absent if all(isinstance(error, Absent) for error in found) else Failed
        sentences = [str(error) for error in found[:_MOST_SHOWN]]
        if len(found) > _MOST_SHOWN:
            sentences.append(f"and {len(found) - _MOST_SHOWN} more")
        raise kind("; ".join(sentences))
