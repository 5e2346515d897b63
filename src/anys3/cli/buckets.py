"""`anys3 bucket`: buckets and what the operator sets on them, effective at once on a running server."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anys3.cli import output
from anys3.cli.keys import rights
from anys3.cli.opening import place_of, with_store
from anys3.cli.rules import as_json, read_rules
from anys3.model import Bucket
from anys3.server.audit import Audit, operator
from anys3.server.buckets import check_name
from anys3.server.refusals import Exit, Refusal
from anys3.store.errors import BucketChanged, BucketExists, BucketNotEmpty
from anys3.store.interface import Store


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run `anys3 bucket ACTION`."""
    place = place_of(arguments, environment)

    async def command(store: Store) -> int:
        match arguments.action:
            case "create":
                await _create(store, arguments)
            case "list":
                await _list(store, arguments)
            case "info":
                await _info(store, arguments)
            case "public":
                await _public(store, arguments)
            case "cors":
                await _cors(store, arguments)
            case _:
                await _delete(store, arguments)
        details = _changed(arguments)
        if details is not None:
            Audit(place.directory).note(operator(), f"bucket {arguments.action}", arguments.name, **details)
        return Exit.OK

    return with_store(place.location, command)


def _changed(arguments: argparse.Namespace) -> dict[str, bool] | None:
    """Return what the audit log says of a command besides its name and bucket; None if it only looks."""
    match arguments.action:
        case "create" | "delete":
            return {}
        case "public":
            return {"is_public": not arguments.off}
        case "cors" if arguments.clear or arguments.file or arguments.allow_origin:
            return {"is_cleared": bool(arguments.clear)}
    return None


async def find(store: Store, name: str) -> Bucket:
    """Return the bucket of that name. Raises Refusal (exit code 9)."""
    bucket = await store.bucket(name)
    if bucket is None:
        raise Refusal(
            Exit.NOT_FOUND, f"there is no bucket {name!r}: `anys3 bucket list` shows those that exist"
        )
    return bucket


async def _create(store: Store, arguments: argparse.Namespace) -> None:
    check_name(arguments.name)
    now_ms = time.time_ns() // 1_000_000
    try:
        bucket = await store.create_bucket(Bucket(arguments.name, 0, now_ms))
    except BucketExists:
        raise Refusal(Exit.CONFLICT, f"the bucket {arguments.name!r} exists already") from None
    _say(arguments, _as_json(bucket), f"created {bucket.name}")


async def _list(store: Store, arguments: argparse.Namespace) -> None:
    buckets = await store.buckets()
    names = {key.access_key_id: key.name for key in await store.keys()}
    rows = [
        [
            bucket.name,
            output.moment(bucket.created_ms),
            names.get(bucket.owner, bucket.owner) or "root",
            "public" if bucket.is_public else "",
        ]
        for bucket in buckets
    ]
    text = output.table(["NAME", "CREATED", "OWNER", ""], rows)
    _say(arguments, [_as_json(bucket) for bucket in buckets], text)


async def _info(store: Store, arguments: argparse.Namespace) -> None:
    bucket = await find(store, arguments.name)
    keys = await store.keys()
    owner = next((key.name for key in keys if key.access_key_id == bucket.owner), bucket.owner) or "root"
    granted = {key.name: rights(key)[bucket.name] for key in keys if bucket.name in key.grants}
    lines = [
        f"name     {bucket.name}",
        f"created  {output.moment(bucket.created_ms)}",
        f"owner    {owner}",
        f"public   {'yes: everyone may GET and HEAD objects' if bucket.is_public else 'no'}",
        f"cors     {_cors_state(bucket)}",
    ]
    if granted:
        lines.append(
            "\n" + output.table(["KEY", "RIGHTS"], [[name, words] for name, words in granted.items()])
        )
    _say(arguments, {**_as_json(bucket), "keys": granted}, "\n".join(lines))


async def _change(store: Store, name: str, **settings: Any) -> Bucket:
    """Change settings of a bucket, and leave alone what a request changes meanwhile; return its new row."""
    while True:
        bucket = await find(store, name)
        changed = replace(bucket, **settings)
        try:
            await store.update_bucket(changed, was=bucket)
        except BucketChanged:
            continue
        return changed


async def _public(store: Store, arguments: argparse.Namespace) -> None:
    bucket = await _change(store, arguments.name, is_public=not arguments.off)
    state = "everyone may GET and HEAD its objects" if bucket.is_public else "only keys with a grant may read"
    _say(arguments, _as_json(bucket), f"{bucket.name}: {state}")


async def _cors(store: Store, arguments: argparse.Namespace) -> None:
    """Show the rules, or set the operator's (CORS-01); those set by PutBucketCors go before them."""
    bucket = await find(store, arguments.name)
    if arguments.clear or arguments.file or arguments.allow_origin:
        wanted = None if arguments.clear else read_rules(arguments)
        bucket = await _change(store, arguments.name, operator_cors=wanted)
    elif arguments.allow_method or arguments.allow_header or arguments.expose_header or arguments.max_age:
        raise Refusal(Exit.USAGE, "a CORS rule begins with who may ask: add --allow-origin ORIGIN")
    rules = bucket.cors if bucket.cors is not None else bucket.operator_cors
    text = json.dumps({"CORSRules": [as_json(rule) for rule in rules or ()]}, indent=2)
    _say(arguments, _as_json(bucket), text)
    if bucket.cors is not None:
        output.remark("These rules were set by PutBucketCors and go before the operator's.")


async def _delete(store: Store, arguments: argparse.Namespace) -> None:
    bucket = await find(store, arguments.name)
    try:
        await store.delete_bucket(bucket)
    except BucketNotEmpty:
        raise Refusal(
            Exit.CONFLICT,
            f"the bucket {bucket.name!r} isn't empty: delete its objects first, for example by"
            f" `aws s3 rm --recursive s3://{bucket.name}`",
        ) from None
    _say(arguments, {"name": bucket.name, "deleted": True}, f"deleted {bucket.name}")


def _say(arguments: argparse.Namespace, value: object, text: str) -> None:
    if arguments.json:
        output.result_json(value)
    else:
        output.result(text)


def _cors_state(bucket: Bucket) -> str:
    if bucket.cors is not None:
        return f"{len(bucket.cors)} rules, set by PutBucketCors"
    return f"{len(bucket.operator_cors)} rules, set by the operator" if bucket.operator_cors else "none"


def _as_json(bucket: Bucket) -> dict[str, object]:
    return {
        "name": bucket.name,
        "created": output.moment(bucket.created_ms),
        "owner": bucket.owner or None,
        "public": bucket.is_public,
        "cors": None if bucket.cors is None else [as_json(rule) for rule in bucket.cors],
        "operator_cors": None
        if bucket.operator_cors is None
        else [as_json(rule) for rule in bucket.operator_cors],
    }
