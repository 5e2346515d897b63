"""`anys3 key`: who may do what. Every change holds for the next request of a running server."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict

from anys3.cli import output
from anys3.cli.opening import Place, place_of, with_store
from anys3.model import AccessKey, Grant
from anys3.server import credentials
from anys3.server.audit import Audit, operator
from anys3.server.refusals import Exit, Refusal
from anys3.store.interface import Store

MAX_NAME_LENGTH = 128


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run `anys3 key ACTION`."""
    place = place_of(arguments, environment)
    if arguments.action == "create":
        _check_create(arguments)

    def note(action: str, key: AccessKey, **details: dict[str, str] | bool) -> None:
        Audit(place.directory).note(operator(), action, key.name, access_key_id=key.access_key_id, **details)

    async def command(store: Store) -> int:
        match arguments.action:
            case "create":
                key = await _create(store, arguments)
                note("key create", key, grants=rights(key), create_buckets=key.may_create_buckets)
                _show_secret(key, arguments.json)
            case "list":
                _show_list(await store.keys(), arguments.json)
            case "info":
                _show_info(await find(store, arguments.name), arguments.json)
            case "rotate":
                key = await _rotate(store, place, arguments.name)
                note("key rotate", key)
                _show_secret(key, arguments.json)
            case _:
                note("key delete", await _delete(store, arguments.name, arguments.json))
        return Exit.OK

    return with_store(place.location, command)


async def find(store: Store, name: str) -> AccessKey:
    """Return the key of that name or access key id. Raises Refusal (exit code 9)."""
    keys = await store.keys()
    for key in keys:
        if name == key.name:
            return key
    for key in keys:
        if name == key.access_key_id:
            return key
    raise Refusal(Exit.NOT_FOUND, f"there is no key {name!r}: `anys3 key list` shows those that exist")


def rights(key: AccessKey) -> dict[str, str]:
    """Return what the key may do in each bucket, in words.

    >>> rights(AccessKey("id", "secret", "app", grants={"photos": Grant(read=True, write=True)}))
    {'photos': 'read, write'}
    """
    return {
        bucket: ", ".join(right for right, is_granted in asdict(grant).items() if is_granted)
        for bucket, grant in sorted(key.grants.items())
    }


def _check_create(arguments: argparse.Namespace) -> None:
    """Refuse grants that say nothing: a right without a bucket, or a bucket without a right."""
    name, has_right = arguments.name, arguments.read or arguments.write or arguments.owner
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise Refusal(
            Exit.USAGE, f"a key's name is 1 to {MAX_NAME_LENGTH} printable characters, got {name!r}"
        )
    if arguments.bucket and not has_right:
        raise Refusal(
            Exit.USAGE,
            f"--bucket {arguments.bucket[0]} grants nothing by itself: add --read (get, list), --write (put,"
            " delete) or --owner (both, and its settings)",
        )
    if has_right and not arguments.bucket:
        raise Refusal(
            Exit.USAGE,
            "--read, --write and --owner say what a key may do in a bucket: add --bucket NAME, or"
            " --create-buckets for a key that makes its own",
        )


async def _create(store: Store, arguments: argparse.Namespace) -> AccessKey:
    if any(key.name == arguments.name for key in await store.keys()):
        raise Refusal(
            Exit.CONFLICT,
            f"a key named {arguments.name!r} exists: choose another name, or `anys3 key delete` or"
            f" `anys3 key rotate {arguments.name}`",
        )
    for bucket in arguments.bucket:
        if await store.bucket(bucket) is None:
            raise Refusal(
                Exit.NOT_FOUND, f"there is no bucket {bucket!r}: make it by `anys3 bucket create {bucket}`"
            )
    # Who owns a bucket may read and write it: spelled out, so that the grant says all there is to know.
    is_owner = arguments.owner
    grant = Grant(read=arguments.read or is_owner, write=arguments.write or is_owner, owner=is_owner)
    pair = credentials.generate()
    key = AccessKey(
        pair.access_key_id,
        pair.secret_access_key,
        arguments.name,
        may_create_buckets=arguments.create_buckets,
        grants=dict.fromkeys(arguments.bucket, grant),
        created_ms=time.time_ns() // 1_000_000,
    )
    await store.put_key(key)
    return key


async def _rotate(store: Store, place: Place, name: str) -> AccessKey:
    """Change a key's secret; the root key's copy in the directory follows."""
    key = await find(store, name)
    rotated = await credentials.rotate(store, key)
    if key.is_root and place.directory is not None:
        credentials.rewrite_file(place.directory, credentials.pair_of(rotated))
        output.remark(f"{place.directory / credentials.FILE_NAME} holds the new root key.")
    return rotated


async def _delete(store: Store, name: str, is_json: bool) -> AccessKey:
    key = await find(store, name)
    if key.is_root:
        raise Refusal(
            Exit.CONFLICT, "the root key can't be deleted: `anys3 key rotate root` replaces its secret"
        )
    await store.delete_key(key.access_key_id)
    owned = [bucket.name for bucket in await store.buckets() if bucket.owner == key.access_key_id]
    if is_json:
        output.result_json({"name": key.name, "access_key_id": key.access_key_id, "deleted": True})
    else:
        output.result(f"deleted {key.name} ({key.access_key_id})")
    if owned:
        output.remark(f"Its buckets are still there, and only the root key sees them: {', '.join(owned)}")
    return key


def _as_json(key: AccessKey, *, with_secret: bool = False) -> dict[str, object]:
    secret = {"secret_access_key": key.secret_access_key} if with_secret else {}
    return {
        "name": key.name,
        "access_key_id": key.access_key_id,
        **secret,
        "is_root": key.is_root,
        "create_buckets": key.may_create_buckets or key.is_root,
        "grants": {bucket: asdict(grant) for bucket, grant in sorted(key.grants.items())},
        "created": output.moment(key.created_ms),
    }


def _show_secret(key: AccessKey, is_json: bool) -> None:
    if is_json:
        output.result_json(_as_json(key, with_secret=True))
        return
    output.result(f"AWS_ACCESS_KEY_ID={key.access_key_id}")
    output.result(f"AWS_SECRET_ACCESS_KEY={key.secret_access_key}")
    output.remark(f"Key {key.name!r}: {_summary(key)}. Keep the secret: it isn't shown again.")


def _summary(key: AccessKey) -> str:
    """Return in one line what the key may do."""
    if key.is_root:
        return "may do everything"
    granted = [f"{words} in {bucket}" for bucket, words in rights(key).items()]
    if key.may_create_buckets:
        granted.append("create buckets and own them")
    return "; ".join(granted) or "may do nothing yet"


def _show_list(keys: list[AccessKey], is_json: bool) -> None:
    keys = sorted(keys, key=lambda key: (not key.is_root, key.name))
    if is_json:
        output.result_json([_as_json(key) for key in keys])
        return
    rows = [[key.name, key.access_key_id, output.moment(key.created_ms), _summary(key)] for key in keys]
    output.result(output.table(["NAME", "ACCESS KEY ID", "CREATED", "MAY"], rows))


def _show_info(key: AccessKey, is_json: bool) -> None:
    if is_json:
        output.result_json(_as_json(key))
        return
    rows = [[bucket, words] for bucket, words in rights(key).items()]
    output.result(f"name           {key.name}")
    output.result(f"access key id  {key.access_key_id}")
    output.result(f"created        {output.moment(key.created_ms)}")
    output.result(f"may            {_summary(key)}")
    if rows:
        output.result("\n" + output.table(["BUCKET", "RIGHTS"], rows))
