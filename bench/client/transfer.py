"""A folder up or down through boto3's transfer manager: `python -m bench.client.transfer upload|download`.

    python -m bench.client.transfer upload FOLDER BUCKET PREFIX
    python -m bench.client.transfer download FOLDER BUCKET PREFIX

The endpoint and the credentials come from the environment, as for any AWS SDK.
"""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

THREADS = 10


def main(direction: str, folder: Path, bucket: str, prefix: str) -> None:
    """Transfer all files, ten at a time, as boto3 does for a file of many parts; raises what boto3 raises."""
    s3 = boto3.client("s3")
    with create_transfer_manager(s3, TransferConfig(max_concurrency=THREADS)) as transfers:
        if direction == "upload":
            waiting = [
                transfers.upload(str(path), bucket, f"{prefix}/{path.name}")
                for path in sorted(folder.iterdir())
            ]
        else:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
            waiting = [transfers.download(bucket, key, str(folder / Path(key).name)) for key in keys]
        for transfer in waiting:
            transfer.result()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
