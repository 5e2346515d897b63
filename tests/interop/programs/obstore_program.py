"""Drives the server with obstore (Rust's object_store): `first` writes and checks, `second` reads it back."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

store = S3Store(
    os.environ["BUCKET"],
    endpoint=os.environ["ENDPOINT"],
    region="us-east-1",
    virtual_hosted_style_request=False,
    client_options={"allow_http": True},
)
BIG = bytes(range(256)) * (12 << 12)
ODD = "dir/ünï cödé + 100%.txt"


def first() -> None:
    obstore.put(store, ODD, b"first", mode="create", attributes={"Content-Type": "text/x-odd"})
    try:
        obstore.put(store, ODD, b"second", mode="create")
        raise AssertionError("mode='create' overwrote")
    except AlreadyExistsError:
        pass
    etag = obstore.head(store, ODD)["e_tag"]
    obstore.put(store, ODD, b"swapped", mode={"e_tag": etag})
    obstore.put(store, "big", BIG, chunk_size=5 << 20, use_multipart=True)
    assert bytes(obstore.get_range(store, "big", start=5_000_000, end=6_000_000)) == BIG[5_000_000:6_000_000]
    ranges = obstore.get_ranges(store, "big", starts=[0, 9_000_000], lengths=[10, 10])
    assert [bytes(piece) for piece in ranges] == [BIG[:10], BIG[9_000_000:9_000_010]]
    for number in range(20):
        obstore.put(store, f"many/{number:02d}", b"x")
    listed = obstore.list_with_delimiter(store)
    assert sorted(listed["common_prefixes"]) == ["dir", "many"], listed
    obstore.copy(store, "big", "copied")
    obstore.rename(store, "many/19", "many/renamed")
    try:
        obstore.get(store, "many/19")
        raise AssertionError("a renamed object is still there")
    except FileNotFoundError:
        pass


def second() -> None:
    assert bytes(obstore.get(store, ODD).bytes()) == b"swapped"
    assert bytes(obstore.get(store, "copied").bytes()) == BIG
    paths = [item["path"] for chunk in obstore.list(store) for item in chunk]
    assert len(paths) == 23, paths
    obstore.delete(store, paths)
    assert [item for chunk in obstore.list(store) for item in chunk] == []


second() if sys.argv[1] == "second" else first()
print(json.dumps({"version": version("obstore")}))
