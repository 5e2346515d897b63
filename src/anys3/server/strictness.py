"""Which profiles and annex calls a server offers, from what people write: `tier-2+presign`, `none`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anys3.protocol import authentication
from anys3.spec import catalogue
from anys3.wire.routing import not_offered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anys3.model import Target


def parse_profiles(text: str) -> frozenset[str]:
    """Return a set of profiles, written as tiers and profiles with `+` (or a comma) and `-` between them.

        >>> sorted(parse_profiles("tier-1+presign-bucket-admin"))
        ['cond-read', 'core', 'cors-static', 'presign', 'range']

    Raises ValueError.
    """
    sets = {name: frozenset(tier.profiles) for name, tier in catalogue.tiers().items()}
    sets |= {name: frozenset({name}) for name in catalogue.profiles()}
    # Longest first, for names hold dashes themselves: `cors-config` is not `cors` without `config`.
    names = "|".join(map(re.escape, sorted(sets, key=len, reverse=True)))
    term = re.compile(rf"\s*([+,-])\s*({names})\s*(?=[+,-]|$)")
    chosen: frozenset[str] = frozenset()
    at, written = 0, "+" + text.strip()
    while at < len(written):
        found = term.match(written, at)
        if found is None:
            raise ValueError(
                f"can't read {written[at + (at == 0) :]!r} in {text!r}; expected tiers and profiles with + and -"
                f" between them: {', '.join(sets)}"
            )
        sign, name = found.groups()
        chosen = chosen - sets[name] if sign == "-" else chosen | sets[name]
        at = found.end()
    if "core" not in chosen:
        raise ValueError(f"{text!r} leaves out core, without which nothing is S3: add core, or a tier")
    return chosen


def parse_annex(text: str) -> frozenset[str]:
    """Return the annex calls to serve: `all`, `none`, or names with commas. Raises ValueError."""
    if text in ("all", "none"):
        return catalogue.annex_names() if text == "all" else frozenset()
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - catalogue.annex_names())
    if unknown or not names:
        known = ", ".join(sorted(catalogue.annex_names()))
        raise ValueError(
            f"unknown annex {', '.join(unknown) or text!r}; expected all, none, or some of {known}"
        )
    return names


def check_way_in(
    profiles: frozenset[str], method: bytes, target: Target, query: Mapping[str, str], *, is_form: bool
) -> None:
    """Refuse the ways to send a request that are profiles of their own, whatever it asks for.

    Raises S3Error NotImplemented. A preflight asks about a URL and carries no signature (CORS-02).
    """
    if target.is_virtual_host and "vhost" not in profiles:
        raise not_offered("A bucket in the host name", "vhost")
    if is_form and "post" not in profiles:
        raise not_offered("A form", "post")
    if "presign" not in profiles and method != b"OPTIONS" and authentication.is_presigned(query):
        raise not_offered("A signature in the query", "presign", group="Presigned URLs (SigV4 query)")
