"""Does an upload of 10,000 parts stay in bounded memory? `python -m bench.parts` (takes 50 GiB of disk for a while).

Serves a fresh directory, uploads parts of the least size with boto3, completes, reads a range near the end, and
tells the server's memory: before, at its peak, and what of it is no mapped file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench import accounting
from bench.served import Served

MIB = 1 << 20
PART = 5 * MIB
STREAMS = 4


def upload(s3: Any, parts: int) -> float:
    """Upload an object of that many parts; return seconds."""
    body = os.urandom(PART)
    s3.create_bucket(Bucket="bench")
    begin = time.perf_counter()
    upload_id = s3.create_multipart_upload(Bucket="bench", Key="parts")["UploadId"]

    def send(number: int) -> dict[str, object]:
        answer = s3.upload_part(Bucket="bench", Key="parts", UploadId=upload_id, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    with ThreadPoolExecutor(STREAMS) as pool:
        sent = list(pool.map(send, range(1, parts + 1)))
    s3.complete_multipart_upload(
        Bucket="bench", Key="parts", UploadId=upload_id, MultipartUpload={"Parts": sent}
    )
    seconds = time.perf_counter() - begin
    last = (parts - 1) * PART
    ranged = s3.get_object(Bucket="bench", Key="parts", Range=f"bytes={last}-{last + MIB - 1}")
    if ranged["Body"].read() != body[:MIB]:
        raise RuntimeError("the range near the end is not what was sent")
    return seconds


def main() -> int:
    """Measure, print, and return 0."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.parts", description=__doc__, formatter_class=form)
    parser.add_argument(
        "--parts", type=int, default=10_000, metavar="N", help="parts of 5 MiB (default: 10000)"
    )
    parts = parser.parse_args().parts
    with tempfile.TemporaryDirectory(prefix="anys3-parts-") as name, Served(Path(name) / "data") as server:
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.port}",
            aws_access_key_id=server.pair.access_key_id,
            aws_secret_access_key=server.pair.secret_access_key,
            region_name="us-east-1",
            config=Config(max_pool_connections=STREAMS, request_checksum_calculation="when_required"),
        )
        idle = accounting.rss_mib(server.pids, is_peak=False)
        seconds = upload(s3, parts)
        peak, own = accounting.rss_mib(server.pids, is_peak=True), accounting.anonymous_mib(server.pids)
    print(
        f"{parts:,} parts of 5 MiB in {seconds:.0f} s; memory of the server: {idle:.0f} MiB idle, "
        f"{peak:.0f} at its peak, {own:.0f} at the end without mapped files"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
