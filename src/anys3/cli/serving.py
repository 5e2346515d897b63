"""`anys3 serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping

import anys3
from anys3.cli import output
from anys3.server import banner, config, launch
from anys3.server.options import OPTIONS


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Serve until a signal ends it. Raises Refusal."""
    typed = {name: value for name, value in vars(arguments).items() if value is not None}
    flags = {option.name: typed[option.name] for option in OPTIONS if option.name in typed}
    settings = config.load(flags, environment, arguments.config)
    # The log is for people who operate: stderr, with the request ids that clients see in error answers.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if settings.blobs:
        from anys3.cli import provider_checking

        provider_checking.run(settings.location, environment)

    def show(started: banner.Started) -> None:
        output.result(banner.render(started, is_terminal=sys.stdout.isatty(), version=anys3.__version__))
        sys.stdout.flush()

    return launch.run(settings, show)
