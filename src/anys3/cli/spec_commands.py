"""`anys3 spec`: read the spec, have a requirement explained, write the published form of it."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path

from anys3.cli import output, spec_texts
from anys3.cli.cutting import tiers_of
from anys3.conformance.registry import proofs
from anys3.server.refusals import Exit, Refusal
from anys3.spec import catalogue
from anys3.spec.catalogue import Requirement
from anys3.spec.exporting import Publication, data, render
from anys3.spec.exporting.writing import write


def run(arguments: argparse.Namespace) -> int:
    """Run `anys3 spec ACTION`. Raises Refusal."""
    publication = Publication(tiers_of(arguments.tiers), proofs())
    match arguments.action:
        case "export":
            _export(publication, arguments.directory)
        case "show":
            _show(publication, arguments.name, is_json=arguments.json)
        case _:
            _explain(publication, arguments.ids, is_json=arguments.json)
    return Exit.OK


def _export(publication: Publication, directory: Path) -> None:
    files = render(publication)
    try:
        write(files, directory)
    except (NotADirectoryError, FileExistsError) as error:
        raise Refusal(Exit.USAGE, str(error)) from None
    except OSError as error:
        raise Refusal(Exit.DISK, f"{directory}: {error.strerror or error}") from None
    output.remark(f"wrote {len(files)} files to {directory}")


def _show(publication: Publication, name: str | None, *, is_json: bool) -> None:
    if name is None:
        found = spec_texts.overview(publication), spec_texts.overview_as_json(publication)
    elif tier := publication.tiers.get(name):
        found = spec_texts.tier(publication, tier), data.tier_as_json(publication, tier)
    elif profile := catalogue.profiles().get(name):
        found = spec_texts.profile(publication, profile), data.profile_as_json(publication, profile)
    elif operation := catalogue.operations().get(name):
        found = spec_texts.operation(publication, operation), data.operation_as_json(operation)
    else:
        raise Refusal(Exit.USAGE, _unknown(publication, name))
    if is_json:
        output.result_json(found[1])
    else:
        output.result(found[0])


def _unknown(publication: Publication, name: str) -> str:
    known = [*publication.tiers, *catalogue.profiles(), *catalogue.operations()]
    if name.upper() in catalogue.issued_ids():
        return f"{name!r} is a requirement: `anys3 spec explain {name.upper()}` tells about it"
    near = _near(name, known)
    return f"there is no tier, profile or operation {name!r}{near}; `anys3 spec show` lists them all"


def _near(name: str, known: list[str]) -> str:
    """Return `: did you mean ...?` for what is nearly `name`, whatever its case; else nothing."""
    by_fold = {one.casefold(): one for one in known}
    close = get_close_matches(name.casefold(), by_fold, n=3, cutoff=0.6)
    return f": did you mean {' or '.join(by_fold[one] for one in close)}?" if close else ""


def _explain(publication: Publication, ids: list[str], *, is_json: bool) -> None:
    rows = [_requirement(id) for id in ids]
    if is_json:
        output.result_json([data.requirement_as_json(publication, row) for row in rows])
    else:
        output.result("\n\n".join(spec_texts.requirement(publication, row) for row in rows))


def _requirement(id: str) -> Requirement:
    try:
        return catalogue.requirement(id.upper())
    except KeyError:
        near = _near(id, list(catalogue.issued_ids()))
        message = f"there is no requirement {id!r}{near}; `anys3 spec show PROFILE` lists those of a profile"
        raise Refusal(Exit.USAGE, message) from None
