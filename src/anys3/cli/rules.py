"""CORS rules as people write them: a JSON file in the words of the AWS CLI, or flags for one rule."""

from __future__ import annotations

import argparse
import json

from anys3.model import CorsRule
from anys3.protocol import cors
from anys3.server.refusals import Exit, Refusal

FIELDS = {
    "ID": "id",
    "AllowedOrigins": "allowed_origins",
    "AllowedMethods": "allowed_methods",
    "AllowedHeaders": "allowed_headers",
    "ExposeHeaders": "expose_headers",
    "MaxAgeSeconds": "max_age_s",
}


def read_rules(arguments: argparse.Namespace) -> tuple[CorsRule, ...]:
    """Return the rules that the file or the flags state. Raises Refusal (exit code 2)."""
    if arguments.file is not None and arguments.allow_origin:
        raise Refusal(Exit.USAGE, f"{arguments.file} and --allow-origin exclude each other: leave one out")
    if arguments.file is None:
        return _parse(json.dumps([_rule_of_flags(arguments)]), "the rule")
    try:
        text = arguments.file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(Exit.USAGE, f"{arguments.file}: can't be read: {error}") from None
    return _parse(text, str(arguments.file))


def _rule_of_flags(arguments: argparse.Namespace) -> dict[str, object]:
    rule = {
        "AllowedOrigins": arguments.allow_origin,
        "AllowedMethods": arguments.allow_method or ["GET", "HEAD"],
        "AllowedHeaders": arguments.allow_header,
        "ExposeHeaders": arguments.expose_header,
        "MaxAgeSeconds": arguments.max_age,
    }
    return {name: value for name, value in rule.items() if value not in ([], None)}


def _parse(text: str, where: str) -> tuple[CorsRule, ...]:
    try:
        rules = cors.parse_json(text)
    except ValueError as error:
        raise Refusal(Exit.USAGE, f"{where}: {error}") from None
    if not 1 <= len(rules) <= cors.MAX_RULES:
        raise Refusal(
            Exit.USAGE,
            f"{where}: expected 1 to {cors.MAX_RULES} rules, got {len(rules)}; --clear removes all",
        )
    return rules


def as_json(rule: CorsRule) -> dict[str, object]:
    """Return a rule in the words of `aws s3api put-bucket-cors`; a field that is not set is left out."""
    fields = {name: getattr(rule, field) for name, field in FIELDS.items()}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value not in ((), None)
    }
