"""Drives the server with Apache OpenDAL: `first` writes and checks, `second` reads it all back."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version

import opendal

store = opendal.Operator("s3", bucket=os.environ["BUCKET"], endpoint=os.environ["ENDPOINT"], region="us-east-1")
BIG = bytes(range(256)) * (12 << 12)
ODD = "dir/ünï cödé + 100%.txt"


def first() -> None:
    store.write(ODD, b"odd")
    with store.open("big", "wb") as file:
        file.write(BIG)
    assert store.stat("big").content_length == len(BIG)
    with store.open("big", "rb") as file:
        file.seek(7_000_000)
        assert bytes(file.read(100)) == BIG[7_000_000:7_000_100]
    store.copy(ODD, "copied")
    assert sorted(entry.path for entry in store.list("dir/")) in ([ODD], ["dir/", ODD])


def second() -> None:
    assert bytes(store.read(ODD)) == b"odd" == bytes(store.read("copied"))
    assert bytes(store.read("big")) == BIG
    for path in (ODD, "big", "copied"):
        store.delete(path)
    assert [entry.path for entry in store.list("/") if not entry.path.endswith("/")] == []


second() if sys.argv[1] == "second" else first()
print(json.dumps({"version": version("opendal")}))
