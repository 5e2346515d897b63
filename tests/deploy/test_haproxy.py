"""deploy/haproxy.cfg as it stands, but for its addresses, in front of real servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.engines.daemon import Daemon, run, wait_until
from tests.engines.fixtures import need
from tests.metrics import Metrics, metrics_of
from tests.processes import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ServerProcess, free_port
from tests.rawclient import RawClient, read_response

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
RULE = "http-after-response set-header Connection close"
SERVERS = ("server one server:9000", "server two second:9000")


@pytest.fixture(autouse=True)
def _haproxy_is_here() -> None:
    need(None if shutil.which("haproxy") else "there is no haproxy on this machine")


class Behind:
    """Two servers behind a HAProxy; each has a store of its own, as these tests ask nothing of what they share."""

    def __init__(self, directory: Path, text: str) -> None:
        self.servers = [
            ServerProcess(directory / name, "--metrics", "127.0.0.1:0", store=["--memory"])
            for name in ("one", "two")
        ]
        self._text = text
        self._file = directory / "haproxy.cfg"
        self._proxy = Daemon(["haproxy", "-db", "-f", str(self._file)], directory / "haproxy.log")
        self.s3 = RawClient(f"http://127.0.0.1:{free_port()}", ACCESS_KEY_ID, SECRET_ACCESS_KEY)

    def start(self) -> None:
        """Start all three, and return when HAProxy has heard of both servers that they are well."""
        text = self._text.replace("bind :9000", f"bind {self.s3.host}")
        for server, line in zip(self.servers, SERVERS, strict=True):
            server.start()
            assert server.s3.request("PUT", "/photos").status == 200
            assert line in text
            here = f"{line.rpartition(' ')[0]} 127.0.0.1:{server.port} port {self.metrics(server).port}"
            text = text.replace(line, here)
        self._file.write_text(text)
        self._proxy.start()
        self._proxy.wait(lambda: self.is_listening, "listening")

    @property
    def is_listening(self) -> bool:
        """Whether HAProxy takes connections."""
        try:
            self.s3.connect().close()
        except OSError:
            return False
        return True

    @staticmethod
    def metrics(server: ServerProcess) -> Metrics:
        """Return what a server tells of itself."""
        return metrics_of(server.directory.with_suffix(".log").read_text())

    def client(self) -> Any:
        """Return boto3's client, which sends everything once."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def close(self) -> None:
        """End all three."""
        self._proxy.kill()
        for server in self.servers:
            server.close()


@contextmanager
def behind(directory: Path, text: str | None = None) -> Iterator[Behind]:
    with closing(Behind(directory, text or CONFIGURATION.read_text())) as both:
        both.start()
        yield both


def test_the_configuration_is_valid_as_it_stands() -> None:
    run(["haproxy", "-c", "-f", str(CONFIGURATION)])


def test_refused_conditional_writes_do_not_take_the_next_request_for_their_body(tmp_path: Path) -> None:
    with behind(tmp_path) as both:
        both.servers[1].stop()
        s3 = both.client()
        s3.put_object(Bucket="photos", Key="cat", Body=b"one")
        for _ in range(3):
            with pytest.raises(ClientError) as refused:
                s3.put_object(Bucket="photos", Key="cat", Body=b"another", IfNoneMatch="*")
            assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
            assert s3.get_object(Bucket="photos", Key="cat")["Body"].read() == b"one"


@pytest.mark.parametrize("has_rule", [True, False])
def test_who_waits_to_send_a_body_is_told_to_close_by_one_rule(tmp_path: Path, has_rule: bool) -> None:
    text = CONFIGURATION.read_text()
    assert text.count(RULE) == 1
    with behind(tmp_path, text if has_rule else text.replace(RULE, f"# {RULE}")) as both:
        for server in both.servers:
            assert server.s3.request("PUT", "/photos/cat", body=b"one").status == 200
        headers = {"if-none-match": "*", "content-length": "7"}
        signed = both.s3.sign("PUT", "/photos/cat", "", {"host": both.s3.host, **headers}, b"another")
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        with both.s3.connect() as connection:
            connection.sendall(f"PUT /photos/cat HTTP/1.1\r\n{lines}Expect: 100-continue\r\n\r\n".encode())
            answer = read_response(connection)
        assert answer.status == 412
        assert (answer.headers.get("connection") == "close") is has_rule


def test_a_server_that_stops_gets_no_requests_and_none_fails(tmp_path: Path) -> None:
    with behind(tmp_path) as both:
        first, second = both.servers
        for server in both.servers:
            served = both.metrics(server)
            wait_until(lambda: _is_asked(both, served), "both are asked")  # noqa: B023 (called at once)
        first.stop()
        before = _answers(both.metrics(second))
        assert [both.s3.request("GET", "/photos").status for _ in range(20)] == [200] * 20
        assert _answers(both.metrics(second)) - before == 20


def test_without_a_server_the_error_is_one_that_clients_repeat(tmp_path: Path) -> None:
    with behind(tmp_path) as both:
        for server in both.servers:
            server.stop()
        with pytest.raises(ClientError) as refused:
            both.client().list_buckets()
        assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
        assert refused.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"


def _is_asked(both: Behind, served: Metrics) -> bool:
    before = _answers(served)
    both.s3.request("GET", "/photos")
    return _answers(served) > before


def _answers(served: Metrics) -> float:
    return sum(value for (name, _), value in served.samples().items() if name == "anys3_requests_total")
