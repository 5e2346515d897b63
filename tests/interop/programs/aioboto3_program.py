"""Drives the server with aioboto3: `first` writes and checks, `second` reads it all back."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from importlib.metadata import version
from typing import Any

import aioboto3
from botocore.exceptions import ClientError

BUCKET = os.environ["BUCKET"]
BIG = bytes(range(256)) * (17 << 12)
KEYS = [f"many/{number:03d} ü+%" for number in range(50)]


async def first(s3: Any) -> None:
    await s3.create_bucket(Bucket=BUCKET)
    await asyncio.gather(*(s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode()) for key in KEYS))
    await s3.upload_fileobj(io.BytesIO(BIG), BUCKET, "big")
    got = await s3.get_object(Bucket=BUCKET, Key=KEYS[7], Range="bytes=2-5")
    assert await got["Body"].read() == KEYS[7].encode()[2:6]
    listed = []
    async for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="many/", PaginationConfig={"PageSize": 20}
    ):
        listed += [item["Key"] for item in page["Contents"]]
    assert listed == KEYS, listed
    try:
        await s3.put_object(Bucket=BUCKET, Key="big", Body=b"", IfNoneMatch="*")
        raise AssertionError("If-None-Match: * overwrote")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed", error


async def second(s3: Any) -> None:
    async def read(key: str) -> bytes:
        got = await s3.get_object(Bucket=BUCKET, Key=key)
        async with got["Body"] as body:
            return bytes(await body.read())

    assert await asyncio.gather(*map(read, KEYS)) == [key.encode() for key in KEYS]
    buffer = io.BytesIO()
    await s3.download_fileobj(BUCKET, "big", buffer)
    assert buffer.getvalue() == BIG
    objects = [{"Key": key} for key in [*KEYS, "big"]]
    removed = await s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert len(removed["Deleted"]) == len(objects) and "Errors" not in removed, removed
    await s3.delete_bucket(Bucket=BUCKET)


async def main() -> None:
    verify = os.environ.get("CERTIFICATE")
    async with aioboto3.Session().client("s3", endpoint_url=os.environ["ENDPOINT"], verify=verify) as s3:
        await (second(s3) if sys.argv[1] == "second" else first(s3))
    print(json.dumps({"version": version("aioboto3")}))


asyncio.run(main())
