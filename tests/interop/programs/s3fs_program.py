"""Drives the server with s3fs, fsspec's file system: `first` writes and checks, `second` reads it all back."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version

import fsspec

BUCKET = os.environ["BUCKET"]
LINES = [f"line {number}\n" for number in range(200_000)]
ODD = f"{BUCKET}/dir/ünï cödé + 100%.txt"
fs = fsspec.filesystem("s3", endpoint_url=os.environ["ENDPOINT"])


def first() -> None:
    fs.mkdir(BUCKET)
    with fs.open(ODD, "w") as file:
        file.write("héllo")
    with fs.open(f"{BUCKET}/big", "w", block_size=5 << 20) as file:
        for line in LINES * 4:
            file.write(line)
    assert fs.info(f"{BUCKET}/big")["size"] == sum(map(len, LINES)) * 4
    fs.pipe({f"{BUCKET}/many/{number}": str(number).encode() for number in range(30)})
    assert sorted(fs.ls(BUCKET)) == [f"{BUCKET}/big", f"{BUCKET}/dir", f"{BUCKET}/many"]
    assert len(fs.find(BUCKET)) == 32
    assert fs.glob(f"{BUCKET}/many/1*") == [f"{BUCKET}/many/1"] + [f"{BUCKET}/many/{n}" for n in range(10, 20)]
    fs.mv(f"{BUCKET}/many/29", f"{BUCKET}/moved")
    assert not fs.exists(f"{BUCKET}/many/29") and fs.cat(f"{BUCKET}/moved") == b"29"
    fs.cp_file(f"{BUCKET}/big", f"{BUCKET}/big copy")
    with fs.open(ODD, "rb") as file:
        file.seek(1)
        assert file.read(2) == "é".encode()


def second() -> None:
    assert fs.cat(ODD) == "héllo".encode()
    with fs.open(f"{BUCKET}/big copy", "r", newline="") as file:
        assert file.read() == "".join(LINES * 4)
    got = fs.cat([f"{BUCKET}/many/{number}" for number in range(29)])
    assert got == {f"{BUCKET}/many/{number}": str(number).encode() for number in range(29)}
    fs.rm(BUCKET, recursive=True)
    assert not fs.exists(BUCKET)


second() if sys.argv[1] == "second" else first()
print(json.dumps({"version": version("s3fs")}))
