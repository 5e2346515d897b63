"""What a user must set for an endpoint, worked out from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anys3.conformance.outcomes import Outcome

_BAD = (Outcome.FAIL, Outcome.ABSENT)


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings for clients of one endpoint: each text is ready to be pasted; `reasons` say what was seen."""

    boto3: str = ""
    aws_cli: str = ""
    rclone: str = ""
    s3fs: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the outcomes say about an endpoint; None: not measured."""

    virtual_hosts: bool | None
    default_checksums: bool | None
    md5_multipart: bool | None
    list_v2: bool | None
    url_encoded_lists: bool | None
    returned_checksums: bool | None


def advise(url: str, region: str, outcomes: Mapping[str, Outcome]) -> Advice:
    """Return the settings for an endpoint whose requirements came out like that."""
    measured = _Measured(
        _holds(outcomes, "VH-01", "VH-05"),
        _holds(outcomes, "PAY-05", "PAY-12", "HTTP-07"),
        _holds(outcomes, "CPL-03"),
        _holds(outcomes, "LIST-01"),
        _holds(outcomes, "LIST-15", "LIST-16"),
        _holds(outcomes, "GET-07", "CK-02", "RNG-10"),
    )
    return Advice(
        _boto3(url, region, measured),
        _aws_cli(url, region, measured),
        _rclone(url, region, measured),
        _s3fs(url, region, measured),
        _reasons(measured),
    )


def _holds(outcomes: Mapping[str, Outcome], *ids: str) -> bool | None:
    found = [outcomes[id] for id in ids if id in outcomes]
    if any(outcome in _BAD for outcome in found):
        return False
    return True if Outcome.PASS in found else None


def _reasons(measured: _Measured) -> tuple[str, ...]:
    rows = [
        (
            measured.virtual_hosts,
            "buckets answer in host names too (VH)",
            "path style only: virtual hosts do not work (VH)",
        ),
        (
            measured.default_checksums,
            "the SDKs' default checksums work (PAY-05, PAY-12)",
            "the SDKs' default checksums do not work (PAY-05, PAY-12, HTTP-07): send them only where required",
        ),
        (
            measured.md5_multipart,
            "ETags of multipart objects are those of AWS (CPL-03)",
            "ETags of multipart objects are not those of AWS (CPL-03): do not compare them",
        ),
        (measured.list_v2, "", "ListObjectsV2 does not work (LIST-01): use version 1"),
        (
            measured.url_encoded_lists,
            "",
            "encoding-type=url does not work (LIST-15): odd keys can't be listed",
        ),
        (measured.returned_checksums, "", "checksums in answers are wrong or refused: do not validate them"),
    ]
    found = [yes if holds else no for holds, yes, no in rows if holds is not None]
    return (
        "sign with version 4: boto3 presigns with version 2 for own endpoints unless told",
        *filter(None, found),
    )


def _boto3(url: str, region: str, measured: _Measured) -> str:
    style = "virtual" if measured.virtual_hosts else "path"
    lines = ['    signature_version="s3v4",', f'    s3={{"addressing_style": "{style}"}},']
    if measured.default_checksums is False:
        lines.append('    request_checksum_calculation="when_required",')
    if measured.returned_checksums is False:
        lines.append('    response_checksum_validation="when_required",')
    settings = "\n".join(lines)
    return (
        "import boto3\nfrom botocore.config import Config\n\n"
        f"config = Config(\n{settings}\n)\n"
        f's3 = boto3.client("s3", endpoint_url="{url}", region_name="{region}", config=config)\n'
    )


def _aws_cli(url: str, region: str, measured: _Measured) -> str:
    style = "virtual" if measured.virtual_hosts else "path"
    lines = ["[default]", f"endpoint_url = {url}", f"region = {region}"]
    if measured.default_checksums is False:
        lines.append("request_checksum_calculation = when_required")
    if measured.returned_checksums is False:
        lines.append("response_checksum_validation = when_required")
    lines += ["s3 =", "  signature_version = s3v4", f"  addressing_style = {style}"]
    return "\n".join(lines) + "\n"


def _rclone(url: str, region: str, measured: _Measured) -> str:
    lines = [
        "[remote]",
        "type = s3",
        "provider = Other",
        "env_auth = true",
        f"endpoint = {url}",
        f"region = {region}",
        f"force_path_style = {'false' if measured.virtual_hosts else 'true'}",
        f"list_version = {1 if measured.list_v2 is False else 2}",
        f"list_url_encode = {'false' if measured.url_encoded_lists is False else 'true'}",
        f"use_multipart_etag = {'true' if measured.md5_multipart else 'false'}",
    ]
    return "\n".join(lines) + "\n"


def _s3fs(url: str, region: str, measured: _Measured) -> str:
    style = "virtual" if measured.virtual_hosts else "path"
    extra = ', "request_checksum_calculation": "when_required"' if measured.default_checksums is False else ""
    return (
        "import s3fs\n\n"
        f'fs = s3fs.S3FileSystem(\n    endpoint_url="{url}",\n    client_kwargs={{"region_name": "{region}"}},\n'
        f'    config_kwargs={{"signature_version": "s3v4", "s3": {{"addressing_style": "{style}"}}{extra}}},\n)\n'
    )
