"""Figures as text for Prometheus: its text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable

from anys3.store.figures import Figure, Labels

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def render(figures: Iterable[Figure]) -> str:
    r"""Return the text: what has one name stands together, in the order in which names come first.

    >>> print(render([Figure("anys3_room_bytes", "What is left.", 2.0, (("disk", 'a"b'),))]), end="")
    # HELP anys3_room_bytes What is left.
    # TYPE anys3_room_bytes gauge
    anys3_room_bytes{disk="a\"b"} 2
    """
    families: dict[str, list[Figure]] = {}
    for figure in figures:
        families.setdefault(figure.name, []).append(figure)
    lines = []
    for name, family in families.items():
        lines.append(f"# HELP {name} {_escaped(family[0].help)}\n")
        lines.append(f"# TYPE {name} {'counter' if family[0].is_counter else 'gauge'}\n")
        lines += [f"{name}{_braced(each.labels)} {_number(each.value)}\n" for each in family]
    return "".join(lines)


def _braced(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value, is_quoted=True)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str, *, is_quoted: bool = False) -> str:
    """Escape as the format says: quotes in the values of labels only."""
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if is_quoted else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
