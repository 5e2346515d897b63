"""Who `anys3 check` asks as, and over what: what was typed, over what the environment says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from anys3.client.connections import Dialer
from anys3.conformance import callers
from anys3.conformance.ground import Identity
from anys3.server.refusals import Exit, Refusal

CANNOT_BEGIN = 4
"""The exit code where the endpoint can't be reached, or does not take the credentials."""


def identities(
    arguments: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[Identity | None, Identity | None]:
    """Return who asks, and the second identity. Raises NoCredentials and Refusal."""
    if arguments.unauthenticated:
        return None, None
    try:
        return callers.identities(
            environment,
            profile=arguments.profile,
            second_profile=arguments.second_profile,
            region=arguments.region,
        )
    except ValueError as error:
        raise Refusal(Exit.USAGE, f"--second-profile: {error}") from None


def dialer_of(url: str, arguments: argparse.Namespace, environment: Mapping[str, str]) -> Dialer:
    """Return what connects to the endpoint. Raises Refusal."""
    try:
        return callers.dialer(url, environment, ca_file=arguments.ca_file, timeout_s=arguments.timeout)
    except ValueError as error:
        raise Refusal(Exit.USAGE, str(error)) from None
