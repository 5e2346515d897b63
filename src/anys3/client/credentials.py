"""Credentials from the AWS chain: environment, shared files, and what botocore knows where it is installed.

Never from flags or URLs, so that no secret stands in a process list or a shell's history.
"""

from __future__ import annotations

import configparser
import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anys3.client.signing import Credentials

_PROCESS_TIMEOUT_S = 60


class NoCredentials(Exception):
    """The chain gave no credentials; the message says where they were looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the chain gave: who to be, the region if it names one, and where it was found."""

    credentials: Credentials
    region: str | None
    source: str


def find(environment: Mapping[str, str], home: Path, profile: str | None = None) -> Found:
    """Return the credentials of a profile; without one those of the environment, then the default profile.

    Reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION,
    AWS_DEFAULT_REGION, AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE. Raises NoCredentials.
    """
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if profile is None and (key := environment.get("AWS_ACCESS_KEY_ID")):
        secret = environment.get("AWS_SECRET_ACCESS_KEY")
        if not secret:
            raise NoCredentials("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: set both")
        token = environment.get("AWS_SESSION_TOKEN") or None
        return Found(Credentials(key, secret, token), region, "environment")
    name = profile or environment.get("AWS_PROFILE") or "default"
    settings = _profile(environment, home, name)
    region = region or settings.get("region")
    if credentials := _stated(settings) or _from_process(settings):
        return Found(credentials, region, f"profile {name}")
    if credentials := _from_botocore(name if profile or environment.get("AWS_PROFILE") else None):
        return Found(credentials, region, f"profile {name}")
    raise NoCredentials(
        f"no credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or in profile "
        f"{name} of {_credentials_file(environment, home)}. Set the two variables, or --profile"
        if profile is None
        else f"no credentials in profile {name} of {_credentials_file(environment, home)}"
    )


def _credentials_file(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")


def _profile(environment: Mapping[str, str], home: Path, name: str) -> dict[str, str]:
    """Return the settings of a profile; those of the credentials file win."""
    config = Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config")
    section = name if name == "default" else f"profile {name}"
    return _section(config, section) | _section(_credentials_file(environment, home), name)


def _section(path: Path, name: str) -> dict[str, str]:
    reader = configparser.RawConfigParser(strict=False)
    try:
        reader.read_string(path.expanduser().read_text("utf-8"))
    except OSError:
        return {}
    except UnicodeDecodeError:
        raise NoCredentials(f"{path} is not a file of profiles: not UTF-8") from None
    except configparser.Error as error:
        raise NoCredentials(f"{path} is not a file of profiles: {error.message.splitlines()[0]}") from None
    return dict(reader[name]) if reader.has_section(name) else {}


def _stated(settings: Mapping[str, str]) -> Credentials | None:
    key, secret = settings.get("aws_access_key_id"), settings.get("aws_secret_access_key")
    if not key or not secret:
        return None
    return Credentials(key, secret, settings.get("aws_session_token") or None)


def _from_process(settings: Mapping[str, str]) -> Credentials | None:
    """Return what the profile's credential_process prints. Raises NoCredentials if it fails."""
    command = settings.get("credential_process")
    if not command:
        return None
    try:
        # The command is the user's own, from the user's own file: that is what credential_process is for.
        done = subprocess.run(  # noqa: S603
            shlex.split(command), capture_output=True, timeout=_PROCESS_TIMEOUT_S, check=True
        )
        row = json.loads(done.stdout)
        return Credentials(row["AccessKeyId"], row["SecretAccessKey"], row.get("SessionToken"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise NoCredentials(f"credential_process failed: {type(error).__name__}") from None


def _from_botocore(profile: str | None) -> Credentials | None:
    """Return what botocore's longer chain finds: SSO, assumed roles, containers, instances."""
    try:
        import botocore.exceptions  # noqa: PLC0415 -- an extra
        import botocore.session  # noqa: PLC0415
    except ImportError:
        return None
    try:
        found = botocore.session.Session(profile=profile).get_credentials()
    except botocore.exceptions.BotoCoreError:
        return None
    if found is None:
        return None
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)
