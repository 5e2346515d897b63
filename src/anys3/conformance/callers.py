"""Who asks, over what, and where the journal is: from the environment and what a user typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anys3.client import credentials, endpoint
from anys3.client.connections import Dialer
from anys3.conformance.ground import Identity

DEFAULT_REGION = "us-east-1"


def identities(
    environment: Mapping[str, str],
    *,
    profile: str | None = None,
    second_profile: str | None = None,
    region: str | None = None,
) -> tuple[Identity, Identity | None]:
    """Return who asks, and the second identity if a profile is named for it.

    Raises NoCredentials; ValueError if the second is the first.
    """
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or "~").expanduser()
    found = credentials.find(environment, home, profile)
    where = region or found.region or DEFAULT_REGION
    main = Identity("main", found.credentials, where)
    if not second_profile:
        return main, None
    other = credentials.find(environment, home, second_profile)
    if other.credentials.access_key_id == found.credentials.access_key_id:
        raise ValueError(f"profile {second_profile} has the access key id of the first identity")
    return main, Identity("second", other.credentials, where)


def dialer(
    url: str, environment: Mapping[str, str], *, ca_file: str | None = None, timeout_s: float = 30.0
) -> Dialer:
    """Return what connects to an endpoint, certificates verified. Raises ValueError: a flag is wrong."""
    authorities = ca_file or environment.get("AWS_CA_BUNDLE") or None
    if authorities and not Path(authorities).is_file():
        raise ValueError(f"{authorities}: no such file of certificate authorities (--ca-file, AWS_CA_BUNDLE)")
    return Dialer(endpoint.parse(url), timeout_s, authorities)


def journals(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's state where journals are kept."""
    state = environment.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "anys3" / "check"
