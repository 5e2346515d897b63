"""How a finding is seen again: the command of one check, and a curl command of one request.

Everything is quoted for a POSIX shell: names and texts in it are in part the answers of a server.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from anys3.client.endpoint import parse
from anys3.client.signing import EMPTY_SHA256, signable
from anys3.conformance.exchanges import REDACTED, Exchange
from anys3.conformance.outcomes import Result
from anys3.conformance.reports.wording import printable

_OWN = frozenset({"host", "authorization", "x-amz-date", "content-length", "x-amz-security-token"})
"""Headers that curl writes itself, or that need the user's own session."""

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/\s]+/\d{8}/(?P<region>[^/\s,]+)/(?P<service>[^/\s,]+)/aws4_request,"
    r" SignedHeaders=(?P<names>[^,\s]+), Signature=\S+"
)
_PLAIN_TARGET = re.compile(r"/[!-~]*")
_PLAIN_VALUE = re.compile(r"[ -~\t]*")
_RUN_BUCKET = re.compile(r"/(a3-r[0-9a-z]+)(?=[/?]|\Z)")
_SKEW_S = 300
_CUT = re.compile(r" \.\.\. \(\d+ more bytes\)\Z")

_CURL = "curl --silent --show-error --include --globoff --path-as-is"
_SOME_TYPE = "--header 'Content-Type: application/octet-stream'"
"""In place of none: curl always sends one with a body, and before version 8 signs one that is taken out."""

_NEXT = " \\\n  "


@dataclass(frozen=True, slots=True)
class _Signing:
    """How curl signs the request; `region` is "" where it does not."""

    region: str = ""
    service: str = ""


class _NotWithCurl(Exception):
    """curl can't send this request; the message says why."""


def check_line(endpoint: str, check: str) -> str:
    """Return the command that runs one check again.

    >>> check_line("https://s3.example.com", "PUT-03/empty-body")
    'anys3 check https://s3.example.com PUT-03/empty-body'
    """
    return f"anys3 check {_quoted(endpoint)} {_quoted(check)}"


def script(result: Result, endpoint: str) -> str:
    """Return a shell script with the requests of a result in their order, its bucket made first.

    Upload ids, ETags and tokens in it are those of the run: an exact repetition is the check's own command.
    """
    blocks = [curl(exchange, endpoint) for exchange in result.exchanges]
    bucket = next(filter(None, map(_run_bucket, result.exchanges)), "")
    if bucket and any(not block.startswith("# curl can't") for block in blocks):
        region = next(filter(None, map(_region, result.exchanges)), "us-east-1")
        blocks.insert(0, f"# The run has deleted its bucket.\n{_make_bucket(bucket, region, endpoint)}")
    return "\n\n".join(blocks)


def _make_bucket(bucket: str, region: str, endpoint: str) -> str:
    words = [f"{_CURL} --request PUT", *_signed_by(_Signing(region, "s3")), "--data-binary ''"]
    words.append(f"--header 'x-amz-content-sha256: {EMPTY_SHA256}'")
    return _NEXT.join([*words, _SOME_TYPE, _quoted(f"{parse(endpoint).url}/{bucket}")])


def _region(exchange: Exchange) -> str:
    headers = {name.lower(): value for name, value in exchange.request_headers}
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    return match["region"] if match else ""


def _run_bucket(exchange: Exchange) -> str:
    """Return the bucket of a path-style request if it is one of the run's own; else ""."""
    match = _RUN_BUCKET.match(exchange.target)
    return match[1] if match else ""


def curl(exchange: Exchange, endpoint: str) -> str:
    """Return a shell command that sends the request again, signed with the keys of the environment.

    Where curl can't send or sign it as it was sent (signatures that are wrong on purpose, chunked payloads,
    raw framing, bodies that the report does not have whole), the text is a comment with the reason and the
    raw request, and runs nothing. Raises ValueError: the endpoint is no URL.
    """
    try:
        words = _words(exchange, endpoint)
    except _NotWithCurl as reason:
        return _raw(exchange, str(reason))
    return "".join(_remarks(exchange)) + words


def _words(exchange: Exchange, endpoint: str) -> str:
    _check_plain(exchange)
    signing = _signing(exchange)
    body = _body(exchange)
    lines = [f"{_CURL} {_method(exchange)}", *_signed_by(signing)]
    lines += _headers(exchange)
    before, data = _data(exchange, body)
    lines += data
    lines.append(_quoted(_url(exchange, endpoint)))
    return before + _NEXT.join(lines)


def _signed_by(signing: _Signing) -> list[str]:
    if not signing.region:
        return []
    scope = _quoted(f"aws:amz:{signing.region}:{signing.service}")
    return [f"--aws-sigv4 {scope}", '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"']


def _remarks(exchange: Exchange) -> list[str]:
    is_other = exchange.identity not in ("main", "nobody")
    found = (
        [f"# Asked as {printable(exchange.identity)}: set the keys of that identity.\n"] if is_other else []
    )
    if any(name.lower() == "x-amz-security-token" for name, _ in exchange.request_headers):
        found.append("# A session token was sent.\n")
    return found


def _check_plain(exchange: Exchange) -> None:
    """Raise _NotWithCurl for what curl would change on its way."""
    names = [name.lower() for name, _ in exchange.request_headers]
    if not _PLAIN_TARGET.fullmatch(exchange.target) or "#" in exchange.target:
        raise _NotWithCurl("its target is no path that curl sends as it is")
    if REDACTED in exchange.target or "X-Amz-Signature=" in exchange.target:
        raise _NotWithCurl("it is signed in its query, and signatures are not in reports")
    if not all(_PLAIN_VALUE.fullmatch(value) for _, value in exchange.request_headers):
        raise _NotWithCurl("a header holds bytes that a command line can't")
    if len(set(names)) != len(names):
        raise _NotWithCurl("a header is there twice")
    if "transfer-encoding" in names:
        raise _NotWithCurl("it is framed by chunks of its own")
    if _has_body(exchange) and "content-length" not in names:
        raise _NotWithCurl("it has no Content-Length, and curl adds one")
    if "expect" in names:
        raise _NotWithCurl("it waits for the server before it sends its body")


def _signing(exchange: Exchange) -> _Signing:
    """Return how the request is signed. Raises _NotWithCurl: otherwise than curl does."""
    headers = {name.lower(): value for name, value in exchange.request_headers}
    written = headers.get("authorization")
    if written is None and exchange.identity == "nobody" and "x-amz-date" not in headers:
        return _Signing()
    found = _AUTHORIZATION.fullmatch(written or "")
    if found is None:
        raise _NotWithCurl("it is not signed as curl signs, on purpose")
    if set(found["names"].split(";")) != signable(exchange.request_headers):
        raise _NotWithCurl("its signature covers other headers than curl's")
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        raise _NotWithCurl("its body is sent as aws-chunked")
    if _is_dated_otherwise(headers.get("x-amz-date", ""), exchange):
        raise _NotWithCurl("it is dated otherwise, and curl signs for now")
    return _Signing(found["region"], found["service"])


def _is_dated_otherwise(amz_date: str, exchange: Exchange) -> bool:
    """Whether a request carries another time than the server had when it answered."""
    answered = next((value for name, value in exchange.answer_headers if name.lower() == "date"), "")
    try:
        sent = datetime.strptime(f"{amz_date}+0000", "%Y%m%dT%H%M%SZ%z")
        then = parsedate_to_datetime(answered)
        return abs((sent - then).total_seconds()) > _SKEW_S
    except (TypeError, ValueError):
        return not re.fullmatch(r"\d{8}T\d{6}Z", amz_date)


def _body(exchange: Exchange) -> bytes:
    """Return the body as it was sent. Raises _NotWithCurl: the report does not have it."""
    text = exchange.request_body
    if REDACTED in text:
        raise _NotWithCurl("its body held what reports don't show")
    if _CUT.search(text) and len(text.encode()) != exchange.request_size:
        raise _NotWithCurl(f"the report does not have its whole body of {exchange.request_size:,} bytes")
    found = text.encode()
    if len(found) != exchange.request_size:
        try:
            found = text.encode("ascii").decode("unicode_escape").encode("latin-1")
        except ValueError:
            found = b""
    declared = next(
        (value for name, value in exchange.request_headers if name.lower() == "content-length"), ""
    )
    if len(found) != exchange.request_size or declared not in ("", str(len(found))):
        raise _NotWithCurl("its length is not that of its body")
    return found


def _method(exchange: Exchange) -> str:
    return "--head" if exchange.method == "HEAD" else f"--request {_quoted(exchange.method)}"


def _headers(exchange: Exchange) -> list[str]:
    found = []
    names = {name.lower() for name, _ in exchange.request_headers}
    for name, value in exchange.request_headers:
        if name.lower() in _OWN:
            continue
        # curl drops "Name:"; with a semicolon it sends the header without a value.
        found.append(f"--header {_quoted(f'{name}: {value}' if value else f'{name};')}")
    if "x-amz-security-token" in names:
        found.append('--header "x-amz-security-token: $AWS_SESSION_TOKEN"')
    if "content-type" not in names and _has_body(exchange):
        found.append(_SOME_TYPE)
    return found


def _has_body(exchange: Exchange) -> bool:
    return exchange.request_size > 0 or exchange.method in ("PUT", "POST")


def _data(exchange: Exchange, body: bytes) -> tuple[str, list[str]]:
    """Return what stands before curl in the pipe, and curl's words for the body."""
    if exchange.method == "HEAD" and body:
        raise _NotWithCurl("curl sends no body with HEAD")
    if not _has_body(exchange):
        return "", []
    if re.fullmatch(rb"(?!@)[\n -~]*", body):
        return "", [f"--data-binary {_quoted(body.decode())}"]
    escaped = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:03o}" for byte in body
    )
    return f"printf {_quoted(escaped)} |\n  ", ["--data-binary @-"]


def _url(exchange: Exchange, endpoint: str) -> str:
    at = parse(endpoint)
    host = next((value for name, value in exchange.request_headers if name.lower() == "host"), at.authority)
    if host != at.authority and not host.endswith(f".{at.authority}"):
        raise _NotWithCurl("it names another host than it is sent to")
    return f"{at.scheme}://{host}{_canonical(exchange.target)}"


def _canonical(target: str) -> str:
    """Return a target whose query is written as it is signed: curl before version 8.3 signs it as it is."""
    path, mark, query = target.partition("?")
    pairs = sorted(piece.partition("=")[::2] for piece in query.split("&") if piece)
    return path + mark + "&".join(f"{name}={value}" for name, value in pairs)


def _raw(exchange: Exchange, reason: str) -> str:
    """Return the request as it was sent, as a comment."""
    lines = [
        f"curl can't send this as it was sent: {reason}. The request, without its signature:",
        "",
        f"{exchange.method} {exchange.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in exchange.request_headers),
        "",
        *([f"({exchange.request_size:,} bytes) {exchange.request_body}"] if exchange.request_size else []),
    ]
    # One line each, whatever they hold: nothing of a comment may run.
    return "\n".join(f"# {printable(line)}".rstrip() for line in lines).rstrip("\n# ")


def _quoted(text: str) -> str:
    return shlex.quote(text)
