"""Request smuggling: messages that two parsers could read differently, and what a strict one makes of them.

The server may give as many answers as the strict reader finds messages, each the answer to that message, and one
refusal more; never more than a proxy, strict or lax, believes to have forwarded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.torture.abuse.crowd import talk

H = b"Host: a\r\n"
PROBE = b"GET /public/probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CANARY = b"GET /public/canary HTTP/1.1\r\nHost: a\r\n\r\n"
TE = b"Transfer-Encoding: chunked\r\n"


def _post(headers: bytes, body: bytes = b"", target: bytes = b"/public/put") -> bytes:
    return b"PUT " + target + b" HTTP/1.1\r\n" + H + headers + b"\r\n" + body


def _get(headers: bytes, body: bytes = b"") -> bytes:
    return b"GET /public/probe HTTP/1.1\r\n" + H + headers + b"\r\n" + body


_LENGTH = b"Content-Length: %d\r\n" % (len(CANARY) + 5)
PAIRS: dict[str, bytes] = {
    "CL.TE": _post(_LENGTH + TE, b"0\r\n\r\n" + CANARY),
    "TE.CL": _post(TE + b"Content-Length: 4\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(CANARY), CANARY)),
    "CL 0 and TE": _post(b"Content-Length: 0\r\n" + TE, b"0\r\n\r\n" + CANARY),
    "two lengths": _post(b"Content-Length: 0\r\n" + _LENGTH, b"0\r\n\r\n" + CANARY),
    "two equal lengths": _post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc" + CANARY),
    "a list of lengths": _post(b"Content-Length: 3, 3\r\n", b"abc" + CANARY),
    "CL 0 with a body": _post(b"Content-Length: 0\r\n", CANARY),
    "GET with a body": _get(b"Content-Length: %d\r\n" % len(CANARY), CANARY),
    "GET with chunks": _get(TE, b"%x\r\n%b\r\n0\r\n\r\n" % (len(CANARY), CANARY)),
    "chunked in HTTP/1.0": b"PUT /public/p HTTP/1.0\r\n" + TE + b"\r\n0\r\n\r\n" + CANARY,
    "an absolute target of another host": b"GET http://b/public/probe HTTP/1.1\r\n" + H + b"\r\n" + CANARY,
    "an upgrade with a body": _get(
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n" % len(CANARY), CANARY
    ),
    "an upgrade": _get(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n", CANARY
    ),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + CANARY,
    "an expectation that is not waited for": _post(
        _LENGTH + b"Expect: 100-continue\r\n", b"0\r\n\r\n" + CANARY
    ),
    "an unknown expectation": _post(_LENGTH + b"Expect: 200-ok\r\n", b"0\r\n\r\n" + CANARY),
    "a trailer that frames": _post(TE, b"0\r\nContent-Length: %d\r\n\r\n%b" % (len(CANARY), CANARY)),
    "a trailer that encodes": _post(TE, b"0\r\n" + TE + b"\r\n" + CANARY),
    "a CONNECT": b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n" + CANARY,
}
_ENCODINGS = {
    "xchunked": b"Transfer-Encoding: xchunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "two encodings": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked twice": TE + TE,
    "chunked, then identity": TE + b"Transfer-Encoding: identity\r\n",
    "a tab before chunked": b"Transfer-Encoding:\tchunked\r\n",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n',
    "in capitals": b"TRANSFER-ENCODING: CHUNKED\r\n",
    "space before the colon": b"Transfer-Encoding : chunked\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "behind a bare LF": b"X: a\nTransfer-Encoding: chunked\r\n",
    "behind a bare CR": b"X: a\rTransfer-Encoding: chunked\r\n",
    "a NUL": b"Transfer-Encoding: chunked\x00\r\n",
    "an underscore": b"Transfer_Encoding: chunked\r\n",
    "a comma": b"Transfer-Encoding: ,chunked\r\n",
    "a parameter": b"Transfer-Encoding: chunked;a=b\r\n",
    "an old letter": b"Transfer-Encoding: chun\xc4\xb7ed\r\n",
}
for _name, _line in _ENCODINGS.items():
    PAIRS[f"TE.TE, {_name}"] = _post(_line + b"Content-Length: 5\r\n", b"0\r\n\r\n" + CANARY)
    PAIRS[f"TE, {_name}"] = _post(_line, b"0\r\n\r\n" + CANARY)
_CHUNKS = {
    "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a minus": b"-1\r\nabc\r\n0\r\n\r\n",
    "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n",
    "an overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a newline in an extension": b"3;a=b\nabc\r\n0\r\n\r\n",
    "bare LF": b"3\nabc\n0\n\n",
    "no end of the data": b"3\r\nabc0\r\n\r\n",
    "an empty size": b"\r\nabc\r\n0\r\n\r\n",
    "a NUL in the size": b"3\x00\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
}
for _name, _line in _CHUNKS.items():
    PAIRS[f"chunks with {_name}"] = _post(TE, _line + CANARY)
_LENGTHS = (
    b"+5",
    b"-5",
    b"0x5",
    b"5 5",
    b"5,",
    b"",
    b"9" * 31,
    b"5\x00",
    b"5_0",
    b"1e1",
    b"\xd9\xa5",
    b"5\x0b",
)
for _line in _LENGTHS:
    PAIRS[f"a length of {_line[:12]!r}"] = _post(b"Content-Length: " + _line + b"\r\n", b"0\r\n\r\n" + CANARY)
_HEADS = {
    "obs-fold": b"X: a\r\n b: c\r\n",
    "a NUL": b"X: a\x00b\r\n",
    "a bare CR": b"X: a\r\rb\r\n",
    "bare LF": b"X: a\nContent-Length: 5\n",
    "space before the colon": b"Content-Length : 5\r\n",
    "a space before the name": b" Content-Length: 5\r\n",
    "no colon": b"Content-Length\r\n",
    "two hosts": b"Host: b\r\n",
    "a lone LF line": b"\n",
    "a high byte in a name": b"Content-L\xe9ngth: 5\r\n",
}
for _name, _line in _HEADS.items():
    PAIRS[f"a head with {_name}"] = _post(_line, CANARY)

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a reader sees it."""

    method: bytes
    target: bytes


def read_strictly(data: bytes) -> list[Message]:
    """Return the messages of `data` up to the first that RFC 9112 does not allow, or that asks to be the last."""
    found: list[Message] = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        first = _LINE.fullmatch(lines[0])
        if not separator or first is None or first[1] in (b"CONNECT", b"PRI"):
            return found
        pairs = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                return found
            pairs.append((name.lower(), value.strip(b" \t")))
        rest = _behind_the_body(pairs, first[3], data)
        if rest is None:
            return found
        found.append(Message(first[1], first[2]))
        data = rest
        if (b"connection", b"close") in pairs or first[3] == b"0":
            return found
    return found


def _behind_the_body(pairs: list[tuple[bytes, bytes]], minor: bytes, data: bytes) -> bytes | None:
    names = [name for name, _ in pairs]
    headers = dict(pairs)
    if names.count(b"host") != 1 and not (minor == b"0" and names.count(b"host") == 0):
        return None
    if b"transfer-encoding" in headers:
        is_sound = (
            names.count(b"transfer-encoding") == 1 and b"content-length" not in headers and minor == b"1"
        )
        return (
            _behind_chunks(data) if is_sound and headers[b"transfer-encoding"].lower() == b"chunked" else None
        )
    if b"content-length" not in headers:
        return data
    length = headers[b"content-length"]
    if names.count(b"content-length") != 1 or not re.fullmatch(rb"[0-9]{1,18}", length):
        return None
    return data[int(length) :] if len(data) >= int(length) else None


def _behind_chunks(data: bytes) -> bytes | None:
    while True:
        line, separator, data = data.partition(b"\r\n")
        size = _SIZE.fullmatch(line)
        if not separator or size is None:
            return None
        count = int(size[1], 16)
        if not count:
            break
        if data[count : count + 2] != b"\r\n":
            return None
        data = data[count + 2 :]
    while True:
        line, separator, data = data.partition(b"\r\n")
        if not separator:
            return None
        if not line:
            return data


@dataclass(frozen=True, slots=True)
class Lax:
    """A proxy that is too kind: how it reads what it should have refused."""

    prefers_chunks: bool
    takes_last_length: bool
    takes_bare_lf: bool

    def count(self, data: bytes) -> int:
        """Return how many messages it forwards, an unfinished one counted."""
        found = 0
        end = rb"\r?\n\r?\n" if self.takes_bare_lf else rb"\r\n\r\n"
        while data and found < 10:
            found += 1
            match = re.search(end, data)
            if match is None:
                break
            head, data = data[: match.start()], data[match.end() :]
            lengths = re.findall(rb"(?im)^\s*content-length\s*:\s*\+?(\d+)", head)
            is_chunked = re.search(rb"(?i)transfer-encoding\s*:\s*[^\r\n]*chunked", head) is not None
            if is_chunked and (self.prefers_chunks or not lengths):
                data = _behind_chunks(data) or b""
            elif lengths:
                data = data[int(lengths[-1 if self.takes_last_length else 0]) :]
        return found


LAX = [Lax(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]


def answers(received: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each final answer."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status = int(head[9:12])
        match = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        length = int(match[1]) if match else 0
        if status != 100:
            found.append((status, received[:length]))
        received = received[length:]
    return found


def judge(name: str, sent: bytes, received: bytes) -> list[str]:
    """Return what is wrong with the answers to `sent`."""
    wrong = []
    messages = read_strictly(sent)
    given = answers(received)
    refusals = [status for status, _ in given[len(messages) :]]
    if len(given) > len(messages) + 1 or any(status < 400 for status in refusals):
        wrong.append(f"{name}: {len(given)} answers, where a strict reader sees {len(messages)} messages")
    for message, (status, body) in zip(messages, given, strict=False):
        wanted = message.target.rpartition(b"/")[2]
        if status == 200 and message.method == b"GET" and body != wanted:
            wrong.append(f"{name}: {message.target!r} was answered with {body!r}")
    if not given and messages:
        wrong.append(f"{name}: no answer at all")
    return wrong


def judge_behind_a_proxy(name: str, sent: bytes, received: bytes) -> list[str]:
    """Return which lax proxies would have got more answers than they believe to have asked for."""
    given = len(answers(received))
    return [f"{name}: {given} answers behind {lax}" for lax in LAX if given > lax.count(sent)][:1]


def attack(port: int) -> list[str]:
    """Send all pairs, in one write and cut in two, each with a probe behind it; return what was wrong."""
    wrong = []
    for name, pair in PAIRS.items():
        sent = pair + PROBE
        for cut in (len(sent), len(sent) // 2, sent.find(b"\r\n\r\n") + 4):
            received = talk(port, [sent[:cut], sent[cut:]])
            wrong += judge(name, sent, received)
        wrong += judge_behind_a_proxy(name, pair, talk(port, [pair]))
    return wrong
