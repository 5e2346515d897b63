"""The explainer of wrong signatures: where it speaks, what it says, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import anys3
from anys3.protocol.http import Answer, Request
from anys3.server import application
from anys3.server.application import Application, Service
from anys3.server.config import Settings, load
from anys3.server.options import Listen
from anys3.store.memory import MemoryStore
from tests.cli.conftest import CommandLine, anys3_cli
from tests.protocol.test_diagnosis import KEY, NOW_S, signed_as
from tests.rawclient import RawClient, Response, render

__all__ = ["anys3_cli"]
OTHER_HOST = "s3.example.com:9000"


def sent_to_another_host(s3: RawClient) -> Response:
    """Send a request that was signed for another host than the one it arrives at, as behind a proxy."""
    headers = s3.sign("GET", "/", "", {"host": OTHER_HOST}, b"")
    return s3.send(render("GET", "/", {**headers, "host": s3.host, "x-forwarded-host": OTHER_HOST}))


def right_signature(s3: RawClient) -> str:
    """Return what would have been accepted."""
    return s3.sign("GET", "/", "", {"host": s3.host}, b"")["authorization"].rpartition("=")[2]


def client_of(server: anys3.Server) -> RawClient:
    return RawClient(server.endpoint_url, server.access_key_id, server.secret_access_key)


def test_on_loopback_the_answer_names_what_was_sent_and_what_differs_and_no_more() -> None:
    with anys3.Server() as server:
        s3 = client_of(server)
        answer = sent_to_another_host(s3)
    text = answer.body.decode()
    assert answer.verdict == (403, "SignatureDoesNotMatch")
    assert OTHER_HOST in text
    assert s3.host in text
    assert s3.secret_access_key not in text
    assert right_signature(s3) not in text


@pytest.mark.parametrize(
    ("flag", "is_told"), [("--explain-signatures", True), ("--no-explain-signatures", False)]
)
def test_the_operator_decides_whether_answers_explain_and_the_log_does(
    anys3_cli: CommandLine, flag: str, is_told: bool
) -> None:
    server = anys3_cli.serve("--memory", flag)
    answer = sent_to_another_host(server.root)
    assert answer.verdict == (403, "SignatureDoesNotMatch")
    assert (OTHER_HOST in answer.body.decode()) is is_told
    assert OTHER_HOST in server.stop()


@pytest.mark.parametrize(
    ("host", "is_told"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.0.2.7", False)],
)
def test_by_default_only_this_machine_is_told(host: str, is_told: bool) -> None:
    settings = Settings(listen=Listen(host, 9000))
    assert settings.explains_signatures is is_told
    assert replace(settings, explain_signatures=not is_told).explains_signatures is not is_told


def test_the_flag_can_be_set_by_the_environment() -> None:
    assert load({}, {"ANYS3_EXPLAIN_SIGNATURES": "false"}).explains_signatures is False


def test_a_flood_of_wrong_signatures_is_refused_without_being_explained() -> None:
    """The clock stands still, and then goes on by a second."""
    times = [NOW_S] * (application.EXPLANATIONS + 20) + [NOW_S + 1] * 20

    async def flood() -> list[bool]:
        store = MemoryStore()
        await store.put_key(KEY)
        clock = iter(times)
        app = Application(store, Service(explains_signatures=True), clock=lambda: next(clock))
        return [OTHER_HOST.encode() in await document(await app.handle(moved())) for _ in times]

    told = asyncio.run(flood())
    within_a_second, later = told[: application.EXPLANATIONS + 20], told[application.EXPLANATIONS + 20 :]
    assert within_a_second == [True] * application.EXPLANATIONS + [False] * 20
    assert sum(later) == application.EXPLANATIONS_A_S


def moved() -> Request:
    """Return a request that arrives at another host than the one that it was signed for."""
    request = signed_as(headers={b"host": OTHER_HOST.encode()})
    request.headers |= {b"host": b"s3.test", b"x-forwarded-host": OTHER_HOST.encode()}
    return request


async def document(answer: Answer) -> bytes:
    """Return the error document of a refusal."""
    assert answer.status == 403
    assert isinstance(answer.body, bytes)
    return answer.body
