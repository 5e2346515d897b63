"""The attacks. Each gets a `Stage`, and returns what the server did wrong, as sentences."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.rawclient import RawClient, render
from tests.torture.abuse import smuggling
from tests.torture.abuse.crowd import Crowd, talk

MIB = 1 << 20
H = b"Host: a\r\n"
STALLED = b"PUT /public/x HTTP/1.1\r\n" + H + b"Content-Length: 1048576\r\n\r\n"


@dataclass(slots=True)
class Stage:
    """Where it happens, and how large."""

    s3: RawClient
    port: int
    connections: int
    """How many connections an attack may open: more than the server takes."""
    seconds: float
    """How long an attack that drips goes on."""
    timeout_s: float
    """The longest of the server's timeouts."""
    cpu_s: Callable[[], float]
    """Return what the server has used."""
    sent: int = 0
    opened: int = 0

    def crowd(self, part: float = 1.0) -> Crowd:
        """Return so many connections."""
        return Crowd(self.port, max(4, int(self.connections * part)))

    def count(self, crowd: Crowd) -> None:
        """Note what a crowd did."""
        self.sent += crowd.sent
        self.opened += crowd.opened


Attack = Callable[[Stage], list[str]]


def slow_loris(stage: Stage) -> list[str]:
    """Heads that come byte by byte, on more connections than there may be."""
    with stage.crowd(1.2) as crowd:
        crowd.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", seconds=5)
        crowd.drip(lambda _: b"a", stage.seconds, 0.2)
        all_closed = crowd.wait(crowd.are_closed, 3 * stage.timeout_s)
        stage.count(crowd)
        return (
            [] if all_closed else [f"{len(crowd.socks) - len(crowd.closed)} slow heads are still waited for"]
        )


def slow_body(stage: Stage) -> list[str]:
    """Bodies that stall before their last byte, of strangers."""
    with stage.crowd(0.6) as crowd:
        crowd.send(STALLED + b"a" * 1000, seconds=5)
        crowd.drip(lambda _: b"a", stage.seconds / 2, 0.5)
        all_closed = crowd.wait(crowd.are_closed, 3 * stage.timeout_s)
        stage.count(crowd)
        return [] if all_closed else [f"{len(crowd.socks) - len(crowd.closed)} bodies are still waited for"]


def slow_reader(stage: Stage) -> list[str]:
    """Large answers that nobody reads."""
    with stage.crowd(0.5) as crowd:
        crowd.send(b"GET /public/large HTTP/1.1\r\n" + H + b"\r\n", reads=False)
        time.sleep(stage.seconds)
        stage.count(crowd)
    return []


def header_flood(stage: Stage) -> list[str]:
    """Heads, request lines and trailers without end."""
    start = b"GET / HTTP/1.1\r\n" + H
    heads = {
        "many headers": start + b"".join(b"x%x:\r\n" % number for number in range(30_000)),
        "a long header": start + b"X: " + b"a" * MIB,
        "a long name": start + b"x" * MIB,
        "an endless target": b"GET /" + b"a" * MIB,
        "an endless extension": b"PUT /public/x HTTP/1.1\r\n"
        + H
        + b"Transfer-Encoding: chunked\r\n\r\n1;"
        + b"a" * MIB,
    }
    wrong = []
    for name, head in heads.items():
        with stage.crowd(0.08) as crowd:
            crowd.send(head, seconds=10)
            is_refused = crowd.wait(lambda crowd=crowd: len(crowd.answers) == len(crowd.socks), 10)
            stage.count(crowd)
            statuses = crowd.statuses()
            late = sum(b"RequestTimeout" in answer for answer in crowd.answers.values())
            if late > len(crowd.socks) // 2:
                wrong.append(f"{name}: was waited for, and not refused, on {late} of {len(crowd.socks)}")
            elif not is_refused or not statuses <= {b"400", b"403", b"503"}:
                wrong.append(
                    f"{name}: answered with {sorted(statuses)}, {len(crowd.answers)} of {crowd.opened}"
                )
    return wrong


def body_flood(stage: Stage) -> list[str]:
    """Bodies of strangers, and of people with a wrong key, all but two bytes, all at once."""
    return _bodies(stage, [STALLED, _keyed(stage)[0]], 0.9)


def keyed_body_flood(stage: Stage) -> list[str]:
    """The same of people with a key, on fewer connections: each may hold a buffer of the store."""
    return _bodies(stage, [_keyed(stage)[1]], 0.04)


def _keyed(stage: Stage) -> tuple[bytes, bytes]:
    """Return the heads of a PUT of 1 MiB with a wrong signature, and with a right one."""
    headers = {"host": stage.s3.host}
    signed = stage.s3.sign("PUT", "/bystander/flood", "", headers, b"", "UNSIGNED-PAYLOAD")
    signed["content-length"] = str(MIB)
    right = render("PUT", "/bystander/flood", signed)
    bad = render(
        "PUT", "/bystander/flood", {**signed, "authorization": signed["authorization"][:-4] + "0000"}
    )
    return bad, right


def _bodies(stage: Stage, heads: list[bytes], part: float) -> list[str]:
    wrong = []
    for head in heads:
        with stage.crowd(part) as crowd:
            crowd.send(head + b"a" * (MIB - 2), seconds=stage.seconds + 10)
            time.sleep(0.5)
            crowd.read()
            stage.count(crowd)
            strange = crowd.statuses() - {b"403", b"503", b"400", b"200", b""}
            if strange:
                wrong.append(f"a body was answered with {sorted(strange)}")
    return wrong


def pipelining_flood(stage: Stage) -> list[str]:
    """Thousands of messages in each write, whose answers nobody reads."""
    one = b"GET /public/x HTTP/1.1\r\n" + H + b"\r\n"
    with stage.crowd(0.9) as crowd:
        crowd.send(one * (2 * MIB // len(one)), reads=False, seconds=stage.seconds + 3)
        before = stage.cpu_s()
        crowd.wait(lambda: stage.cpu_s() > before + 1.5, 20, reads=False)  # so long as the server works on it
        stage.count(crowd)
    with stage.crowd(0.02) as crowd:
        crowd.send(one * 3000, seconds=20)
        stage.count(crowd)
        if not crowd.statuses() <= {b"403", b"404", b"503"}:
            return [f"pipelined messages were answered with {sorted(crowd.statuses())}"]
    return []


def connection_flood(stage: Stage) -> list[str]:
    """More connections than there may be, which say nothing; then doors that open and close at once."""
    with stage.crowd(2.0) as crowd:
        crowd.wait(lambda: False, stage.seconds / 2)
        stage.count(crowd)
    for number in range(stage.connections * 2):
        sock = socket.create_connection(("127.0.0.1", stage.port), 10, (f"127.0.1.{1 + number % 200}", 0))
        if number % 2:  # a reset instead of an end
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 3 == 0:
            sock.sendall(b"GET / HT")
        sock.close()
        stage.opened += 1
    return []


def bombs(stage: Stage) -> list[str]:
    """Small bytes that stand for many: XML, compressed contents, forms, policies."""
    s3, wrong = stage.s3, []
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        outside = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        documents = {
            "a billion laughs": f'<!DOCTYPE l [<!ENTITY a0 "ha">{laughs}]><Delete>&a9;</Delete>',
            "an external entity": f'<!DOCTYPE d [<!ENTITY e SYSTEM "{outside}">]><Delete>&e;</Delete>',
            "a local file": '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete>&e;</Delete>',
            "an external DTD": f'<!DOCTYPE Delete SYSTEM "{outside}"><Delete/>',
            "deep nesting": "<Delete>" + "<a>" * 200_000,
            "many attributes": "<Delete " + " ".join(f'a{n}="b"' for n in range(100_000)) + "/>",
            "a thousand and one keys": "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>",
            "a million empty keys": "<Delete>" + "<Object/>" * 200_000 + "</Delete>",
        }
        for name, document in documents.items():
            wrong += _refused(stage, name, "POST", "/bystander", "delete", document.encode())
        with contextlib.suppress(TimeoutError):
            trap.accept()
            wrong.append("the server fetched what an XML document named")
    upload = s3.request("POST", "/bystander/parts", "uploads").text("UploadId")
    part = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part * 10_001}</CompleteMultipartUpload>".encode()
    wrong += _refused(stage, "10,001 parts", "POST", "/bystander/parts", f"uploadId={upload}", body)
    s3.request("DELETE", "/bystander/parts", f"uploadId={upload}")
    bomb = b"\x1f\x8b\x08\x00" + bytes(100_000)
    s3.request("PUT", "/bystander/bomb", headers={"content-encoding": "gzip"}, body=bomb)
    back = s3.request("GET", "/bystander/bomb")
    s3.request("DELETE", "/bystander/bomb")
    if back.body != bomb or back.headers.get("content-encoding") != "gzip":
        wrong.append("a compressed content did not come back as it was put")
    return wrong + _forms(stage)


def _forms(stage: Stage) -> list[str]:
    fields = {
        "a policy of brackets": b'Content-Disposition: form-data; name="policy"\r\n\r\n' + b"W1tb" * 4000,
        "many fields": b"\r\n--b\r\n".join(
            b'Content-Disposition: form-data; name="f%d"\r\n\r\nv' % number for number in range(20_000)
        ),
        "a field without end": b'Content-Disposition: form-data; name="key"\r\n\r\n' + b"a" * MIB,
    }
    wrong = []
    for name, field in fields.items():
        body = (
            b"--b\r\n"
            + field
            + b'\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'
        )
        head = b"POST /bystander HTTP/1.1\r\n%bContent-Type: multipart/form-data; boundary=b\r\n" % H
        sent = head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        wrong += _quick(stage, name, sent)
    return wrong


def _refused(stage: Stage, name: str, method: str, path: str, query: str, body: bytes) -> list[str]:
    began = time.monotonic()
    stage.sent += len(body)
    try:
        response = stage.s3.request(method, path, query, {"content-md5": _md5(body)}, body)
    except OSError as error:
        return [f"{name}: no answer ({error!r})"]
    took = time.monotonic() - began
    wrong = [] if 400 <= response.status < 500 else [f"{name}: answered with {response.status}"]
    return wrong + ([f"{name}: took {took:.1f} s"] if took > 10 else [])


def _md5(body: bytes) -> str:
    from tests.rawclient import md5_b64

    return md5_b64(body)


def _quick(stage: Stage, name: str, sent: bytes, statuses: tuple[int, ...] = (400, 403, 404)) -> list[str]:
    began = time.monotonic()
    stage.sent += len(sent)
    stage.opened += 1
    received = talk(stage.port, [sent], 20)
    took = time.monotonic() - began
    status = int(received[9:12] or 0)
    wrong = [] if status in statuses else [f"{name}: answered with {received[:60]!r}"]
    return wrong + ([f"{name}: took {took:.1f} s"] if took > 10 else [])


def numbers(stage: Stage) -> list[str]:
    """Numbers that are huge, negative or none, in headers and queries; ranges and headers by the hundred."""
    wrong = []
    for value in (b"1" + b"0" * 30, b"-1", b"+5", b"0x10", b"1e3", b"", b"\xd9\xa1"):
        sent = b"PUT /public/x HTTP/1.1\r\n%bContent-Length: %b\r\n\r\nabcde" % (H, value)
        wrong += _quick(stage, f"Content-Length: {value!r}", sent)
    for query in ("max-keys=99999999999", "max-keys=-1", "max-keys=" + "9" * 5000, "max-keys=0x10"):
        response = stage.s3.request("GET", "/bystander", "list-type=2&" + query)
        if response.status not in (200, 400):
            wrong.append(f"{query[:40]}: answered with {response.status}")
    many = ",".join(f"{n}-{n}" for n in range(3000))
    for value in (
        f"bytes={many}",
        "bytes=" + "0-" * 9000,
        "bytes=" + "9" * 9000 + "-",
        "bytes=-" + "9" * 9000,
    ):
        response = stage.s3.request("GET", "/bystander/fixed", headers={"range": value})
        if response.status not in (200, 206, 400, 416) or len(response.body) > 100_000:
            wrong.append(f"Range of {len(value)} bytes: {response.status}, {len(response.body)} bytes")
    return wrong


def listings(stage: Stage) -> list[str]:
    """Keys, prefixes and delimiters made to be slow to list."""
    wrong = []
    deep = ["a/" * depth + "k" for depth in range(1, 400, 8)]
    for key in deep:
        stage.s3.request("PUT", "/listed/" + key)
    for query in (
        "delimiter=%2F",
        "delimiter=a",
        "delimiter=" + "a%2F" * 250,
        "prefix=" + "a%2F" * 399,
        "delimiter=%2F&prefix=" + "a%2F" * 200,
        "delimiter=" + "a" * 4000,
        "prefix=" + "a%2F" * 2000,
    ):
        began = time.monotonic()
        response = stage.s3.request("GET", "/listed", "list-type=2&" + query)
        took = time.monotonic() - began
        if response.status not in (200, 400) or took > 5:
            wrong.append(f"LIST with {query[:30]}: {response.status} after {took:.1f} s")
    return wrong


def smuggle(stage: Stage) -> list[str]:
    """Messages that two parsers could read differently."""
    stage.opened += 4 * len(smuggling.PAIRS)
    return smuggling.attack(stage.port)


ATTACKS: dict[str, Attack] = {
    "slow loris": slow_loris,
    "slow body": slow_body,
    "slow reader": slow_reader,
    "header flood": header_flood,
    "body flood": body_flood,
    "body flood with a key": keyed_body_flood,
    "pipelining flood": pipelining_flood,
    "connection flood": connection_flood,
    "bombs": bombs,
    "numbers": numbers,
    "listings": listings,
    "smuggling": smuggle,
}
