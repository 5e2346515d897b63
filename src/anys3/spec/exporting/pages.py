"""The readable pages, in Markdown: an index, a page per tier and per profile, and the non-guarantees."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from anys3.spec import catalogue
from anys3.spec.catalogue import Operation, Profile, Requirement, Tier
from anys3.spec.exporting.publication import (
    EVIDENCE,
    Publication,
    evidence_in_words,
    expected_in_words,
    operations_of,
    requirements_of,
)

_MADE = (
    "<!-- Made by `anys3 spec export` of src/anys3/spec; change the files there and run `make docs`. -->\n"
)

_MARKUP = re.compile(r"[<*\[]")

_INTRODUCTION = """\
# Portable S3

What a store has to do so that software written for S3 runs on it unchanged. A requirement has a permanent id, a
level (MUST, SHOULD or MAY, as in RFC 2119), an expected answer, and evidence. Requirements form **profiles**,
what a store can claim and an application can need as one; profiles form **tiers**, each with all of the lower
ones. A claim names the tier, and any profile that is added or left out: `Tier 2 - bucket-admin + presign`.
A store that breaks a MUST of `core` is not in any tier.
"""

_READING = """\
## How to read a requirement

In an expected answer, `a / b` answers the parts of the sentence in order, and any alternative that is named with
"or" will do. A sentence without a verb is a condition, and the expected answer is what it MUST get. Only status,
code and the listed headers count, never the text of a message. Where providers differ, what AWS was recorded to
do goes before its documentation, and both before other suites.

| evidence | meaning |
|---|---|
"""

_FILES = """\
## For programs

| file | what is in it |
|---|---|
| [requirements.json](requirements.json) | all requirements, profiles and tiers |
| [s3.smithy.json](s3.smithy.json) | the operations and members of the profiles, in Smithy 2.0 (JSON AST) |
| [s3.openapi.json](s3.openapi.json) | the same in OpenAPI 3.1, with form uploads and the CORS preflight |
| [limits.json](limits.json) | sizes and counts |
| [non-guarantees.json](non-guarantees.json) | what portable software must not rely on; [as a page](non-guarantees.md) |

The text is under CC BY 4.0.
"""

_NON_GUARANTEES = """\
# What portable software must not rely on

Some stores offer these, others do not, and a few offer something else under the same name. Software that stays
clear of them runs on every store that claims the profiles that it needs.
"""


def render(publication: Publication) -> Mapping[str, str]:
    """Return the pages by their paths."""
    pages = {"README.md": _index(publication), "non-guarantees.md": _non_guarantees()}
    for tier in publication.tiers.values():
        pages[f"tiers/{tier.name}.md"] = _tier(publication, tier)
    for profile in catalogue.profiles().values():
        pages[f"profiles/{profile.name}.md"] = _profile(publication, profile)
    return {path: f"{_MADE}{text.rstrip()}\n" for path, text in pages.items()}


def _index(publication: Publication) -> str:
    evidence = "".join(f"| {code} | {words} |\n" for code, words in EVIDENCE.items())
    tiers = "".join(
        f"| [{tier.name}](tiers/{tier.name}.md) | {tier.title} | {_links(publication.own_profiles(tier))} | "
        f"{_levels(_rows_of(tier.profiles))} |\n"
        for tier in publication.tiers.values()
    )
    return (
        f"{_INTRODUCTION}\n## Tiers\n\n"
        "| tier | title | its own profiles | requirements, lower tiers included |\n|---|---|---|---|\n"
        f"{tiers}{_left_out(publication)}\n"
        f"## Profiles\n\n{_profile_table(publication, catalogue.profiles().values())}\n"
        f"{_READING}{evidence}\n{_FILES}"
    )


def _left_out(publication: Publication) -> str:
    names = publication.profiles_in_no_tier()
    return f"\nIn no tier of this cut: {_links(names)}.\n" if names else ""


def _links(names: Iterable[str], to: str = "profiles/") -> str:
    return ", ".join(f"[`{name}`]({to}{name}.md)" for name in names)


def _rows_of(profiles: Iterable[str]) -> list[Requirement]:
    return [row for name in profiles for row in requirements_of(name)]


def _levels(rows: Iterable[Requirement]) -> str:
    found = Counter(row.level for row in rows)
    return ", ".join(f"{found[level]} {level}" for level in ("MUST", "SHOULD", "MAY") if found[level])


def _profile_table(publication: Publication, profiles: Iterable[Profile], to: str = "profiles/") -> str:
    lines = ["| profile | content | who needs it | tier | requirements |", "|---|---|---|---|---|"]
    for row in profiles:
        tier = publication.tier_of(row.name)
        optional = " Optional." if row.is_optional else ""
        lines.append(
            f"| [`{row.name}`]({to}{row.name}.md) | {row.description}{optional} | {row.needed_by} | "
            f"{tier.name if tier else 'none'} | {_levels(requirements_of(row.name))} |"
        )
    return "\n".join(lines) + "\n"


def _tier(publication: Publication, tier: Tier) -> str:
    own = [catalogue.profiles()[name] for name in publication.own_profiles(tier)]
    included = "".join(
        f"It includes [{name}]({name}.md): {_links(publication.tiers[name].profiles, '../profiles/')}.\n"
        for name in tier.includes
    )
    parts = [
        f"# {tier.name}: {tier.title}\n",
        f"{_levels(_rows_of(tier.profiles))}, lower tiers included. [All tiers](../README.md)\n",
        included,
        _profile_table(publication, own, "../profiles/"),
        *(_profile_in_tier(profile) for profile in own),
    ]
    return "\n".join(part for part in parts if part)


def _profile_in_tier(profile: Profile) -> str:
    """Return the requirements of a profile in short; each id leads to what is known of it."""
    lines = [
        f"## {profile.title} (`{profile.name}`)\n",
        "| id | level | statement | expected answer |",
        "|---|---|---|---|",
    ]
    lines += (
        f'| <a id="{row.id}"></a>[{row.id}](../profiles/{profile.name}.md#{row.id}) | {row.level} | '
        f"{_in_cell(row.statement)} | {_in_cell(expected_in_words(row))} |"
        for row in requirements_of(profile.name)
    )
    return "\n".join(lines) + "\n"


def _in_cell(text: str) -> str:
    """Return a text for a table's cell: a bar would end it, in code as well."""
    return prose(text).replace("|", "\\|")


def prose(text: str) -> str:
    r"""Return a text whose elements and stars are shown, and not taken for markup; code stays as it is.

    >>> prose("a `<Code>` or <Code>")
    'a `<Code>` or \\<Code>'
    """
    pieces = text.split("`")
    pieces[::2] = [_MARKUP.sub(r"\\\g<0>", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _profile(publication: Publication, profile: Profile) -> str:
    tier = publication.tier_of(profile.name)
    where = f"[{tier.name}](../tiers/{tier.name}.md)" if tier else "no tier of this cut"
    optional = " It is optional within its tier." if profile.is_optional else ""
    parts = [
        f"# {profile.title} (`{profile.name}`)\n",
        f"{profile.description} Needed by: {profile.needed_by}.{optional}\n",
        f"In {where}; {_levels(requirements_of(profile.name))}. [All profiles](../README.md)\n",
    ]
    if operations := operations_of(profile.name):
        parts.append(_operations(operations))
    rows = requirements_of(profile.name)
    for group, members in groupby(rows, key=lambda row: row.group):
        parts += [f"## {group}\n", *(_requirement(publication, row) for row in members)]
    return "\n".join(parts)


def _operations(operations: Iterable[Operation]) -> str:
    lines = ["| operation | request | what it does |", "|---|---|---|"]
    lines += (f"| {row.name} | `{request_line(row)}` | {row.title} |" for row in operations)
    return "\n".join(lines) + "\n"


def request_line(operation: Operation) -> str:
    """Return method and path of an operation, with what selects it: `GET /{bucket}?list-type=2`."""
    paths = {"service": "/", "bucket": "/{bucket}", "object": "/{bucket}/{key}", "any": "/{bucket}[/{key}]"}
    query = [one for one in operation.selectors if not one.startswith("header:")]
    headers = [
        one.removeprefix("header:").replace("=", ": ")
        for one in operation.selectors
        if one.startswith("header:")
    ]
    line = f"{operation.method} {paths[operation.resource]}"
    return line + (f"?{'&'.join(query)}" if query else "") + "".join(f", {name}" for name in headers)


def _requirement(publication: Publication, row: Requirement) -> str:
    return "\n".join(
        [f'<a id="{row.id}"></a>', f"### {row.id} ({row.level})\n", *_sentences(publication, row), ""]
    )


def _sentences(publication: Publication, row: Requirement) -> Iterator[str]:
    yield f"{prose(row.statement)}\n"
    yield f"- **Expected:** {prose(expected_in_words(row))}"
    if reason := catalogue.reason(row.id):
        yield f"- **Why:** {prose(reason.why)}"
        yield f"- **Without it:** {prose(reason.breaks)}"
    yield f"- **Evidence:** {evidence_in_words(row)}"
    if checks := publication.checks.get(row.id):
        yield f"- **Checks:** {', '.join(f'`{name}`' for name in checks)}"


def _non_guarantees() -> str:
    rows = (
        f'<a id="{row.id}"></a>\n### {row.id}\n\n{prose(row.title)}\n\n- **Why:** {prose(row.why)}\n'
        f"- **Instead:** {prose(row.instead)}\n"
        for row in catalogue.non_guarantees()
    )
    return "\n".join([_NON_GUARANTEES, *rows])
