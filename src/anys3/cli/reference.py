"""docs/cli.md, made of the help texts: `python -m anys3.cli.reference > docs/cli.md`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from anys3.cli import output
from anys3.cli.arguments import build_parser
from anys3.server.config import ROOT_KEY_VARIABLES
from anys3.server.options import OPTIONS
from anys3.server.refusals import MEANINGS

HEAD = """\
<!-- Made by `make docs` of what `anys3 --help` says; change src/anys3/cli/arguments.py instead. -->
# The command line

Results go to stdout, as text or (`--json`) as JSON; what is said to people only goes to stderr. Changes of
keys and buckets hold for the next request of a running server.
"""

SETTINGS = """\
## Settings of `anys3 serve`

A flag wins over the environment, and that over `anys3.toml` in the current directory (or `--config FILE`,
`ANYS3_CONFIG`). Switches are `true` or `false` there; lists are separated by commas, in TOML arrays.
An empty variable counts as not set; but one that says which store it is, `ANYS3_DIR`, `ANYS3_INDEX`, `ANYS3_BLOBS` or
`ANYS3_CONFIG`, is refused then.

| flag | variable | in anys3.toml |
|---|---|---|
"""


def render() -> str:
    """Return the whole page."""
    codes = "\n".join(f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items())
    settings = "\n".join(
        f"| `{'DIR' if option.name == 'dir' else option.flag}` | `{option.variable}` | `{option.name}` |"
        for option in OPTIONS
    )
    pairs = ", ".join(f"`{key_id}` with `{secret}`" for key_id, secret in ROOT_KEY_VARIABLES)
    parts = [
        HEAD,
        f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n",
        SETTINGS + f"{settings}\n",
        f"The root key comes from the first of these pairs that is set: {pairs}; else from the store.\n",
        *(
            f"## `{parser.prog}`\n\n```\n{parser.format_help().rstrip()}\n```\n"
            for parser in _parsers(build_parser())
        ),
    ]
    return "\n".join(parts)


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and, in order, those of its commands."""
    yield parser
    for action in parser._actions:  # noqa: SLF001 (argparse has no public way to its sub-parsers)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                yield from _parsers(child)


if __name__ == "__main__":
    output.result(render().rstrip("\n"))
