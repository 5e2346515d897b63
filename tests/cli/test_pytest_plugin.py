"""The pytest plugin as a project uses it: pytest runs of their own, warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = """
import os
import boto3

def test_put_and_get(s3_client, s3_bucket):
    s3_client.put_object(Bucket=s3_bucket, Key="a", Body=b"1")
    assert s3_client.get_object(Bucket=s3_bucket, Key="a")["Body"].read() == b"1"

def test_the_next_bucket_is_another_and_empty(s3_client, s3_bucket):
    assert "Contents" not in s3_client.list_objects_v2(Bucket=s3_bucket)
    assert [row["Name"] for row in s3_client.list_buckets()["Buckets"]] == [s3_bucket]

def test_the_environment_is_enough_for_a_client_that_knows_nothing(s3_env, s3_bucket):
    client = boto3.session.Session().client("s3")
    assert client.meta.endpoint_url == s3_env["AWS_ENDPOINT_URL_S3"]
    client.put_object(Bucket=s3_bucket, Key="a", Body=b"1")
    client.close()

def test_a_wrong_secret_is_refused(s3_server, s3_bucket):
    client = s3_server.client(aws_secret_access_key="wrong")
    try:
        client.list_objects_v2(Bucket=s3_bucket)
        raise AssertionError("not refused")
    except client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "SignatureDoesNotMatch"
    client.close()

def test_a_bucket_that_the_test_deletes_is_no_error(s3_client, s3_bucket):
    s3_client.delete_bucket(Bucket=s3_bucket)

def test_the_environment_is_as_before():
    assert "AWS_ENDPOINT_URL_S3" not in os.environ
"""


def run_pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a directory, with our plugin and xdist and nothing else."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))
    }
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ("-p", "anys3.pytest_plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            *plugins,
            "--basetemp",
            str(directory / "tmp"),
            *arguments,
        ],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_fixtures_are_a_real_server_with_fresh_buckets(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    done = run_pytest(tmp_path)
    assert "6 passed" in done.stdout, done.stdout + done.stderr


def test_every_xdist_worker_has_a_server_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    (tmp_path / "test_more.py").write_text(EXAMPLE)
    done = run_pytest(tmp_path, "-n", "2", "--dist", "loadfile")
    assert "12 passed" in done.stdout, done.stdout + done.stderr


def test_loading_the_plugin_loads_neither_boto3_nor_the_server() -> None:
    program = (
        "import sys, anys3.pytest_plugin\n"
        "heavy = ['boto3', 'botocore', 'anys3.server', 'uvloop', 'lmdb', 'awscrt']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
