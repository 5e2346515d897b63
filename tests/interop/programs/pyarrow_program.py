"""Drives the server with pyarrow's S3FileSystem (the C++ SDK): `first` writes, `second` reads it all back."""

from __future__ import annotations

import json
import os
import sys

import pyarrow
import pyarrow.compute as compute
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
from pyarrow import fs

BUCKET = os.environ["BUCKET"]
ROWS = 200_000
store = fs.S3FileSystem(
    endpoint_override=os.environ["ENDPOINT"],
    region="us-east-1",
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    allow_bucket_creation=True,
    allow_bucket_deletion=True,
)
table = pyarrow.table({"n": range(ROWS), "part": [n % 4 for n in range(ROWS)]})


def first() -> None:
    store.create_dir(BUCKET)
    dataset.write_dataset(table, f"{BUCKET}/data", format="parquet", partitioning=["part"], filesystem=store)
    with store.open_output_stream(f"{BUCKET}/dir/ünï cödé + 100%.bin") as stream:
        stream.write(b"a" * (6 << 20))
        stream.write(b"b" * (6 << 20))
    info = store.get_file_info(f"{BUCKET}/dir/ünï cödé + 100%.bin")
    assert info.size == 12 << 20, info
    assert store.get_file_info(f"{BUCKET}/none").type == fs.FileType.NotFound
    store.copy_file(f"{BUCKET}/dir/ünï cödé + 100%.bin", f"{BUCKET}/copied")


def second() -> None:
    data = dataset.dataset(f"{BUCKET}/data", format="parquet", partitioning=["part"], filesystem=store)
    got = data.to_table(filter=compute.field("part") == 3, columns=["n"])
    assert got.num_rows == ROWS // 4
    assert compute.sum(data.to_table()["n"]).as_py() == ROWS * (ROWS - 1) // 2
    assert parquet.ParquetFile(f"{BUCKET}/data/0/part-0.parquet", filesystem=store).metadata.num_rows == ROWS // 4
    with store.open_input_file(f"{BUCKET}/copied") as file:
        assert file.read_at(4, (6 << 20) - 2) == b"aabb"
    store.delete_dir(BUCKET)
    assert store.get_file_info(BUCKET).type == fs.FileType.NotFound


second() if sys.argv[1] == "second" else first()
print(json.dumps({"version": pyarrow.__version__}))
fs.finalize_s3()
