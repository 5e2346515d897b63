"""What `anys3 doctor URL` looks at: from outside, as any client would, with the credentials of the AWS chain."""

from __future__ import annotations

import re
import socket
import ssl
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from anys3.client import credentials, signing
from anys3.client.answers import Answer
from anys3.client.connections import Connection, Dialer, ExchangeError, Unreachable
from anys3.server import tls
from anys3.server.findings import Finding, Level

DEFAULT_REGION = "us-east-1"
_ROUNDS = 5
_SLOW_MS = 250.0
_SKEW_S = 60.0
_BROKEN_SKEW_S = 900.0
_SOON_DAYS = 14
_NOBODYS = "anys3-doctor-looks-for-this-bucket"
_CODE = re.compile(rb"<Error>.*?<Code>([A-Za-z0-9]+)</Code>", re.DOTALL)
_REGION = re.compile(rb"<Region>([A-Za-z0-9-]+)</Region>")
_EXPECTED_REGION = re.compile(rb"expecting '([A-Za-z0-9-]+)'")


@dataclass(slots=True)
class Patient:
    """An endpoint, and what is known of it so far."""

    dialer: Dialer
    environment: Mapping[str, str]
    profile: str | None = None
    region: str | None = None
    is_trusted: bool = True

    def connect(self) -> Connection:
        """Return a connection; one to a server that isn't trusted is for looks without credentials only."""
        if self.is_trusted:
            return self.dialer.connect()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return self.dialer.connect(context=context)

    def get(self, path: str, headers: list[tuple[str, str]] | None = None, host: str = "") -> Answer:
        """Send a GET as it is. Raises ExchangeError, ValueError."""
        lines = [("host", host or self.dialer.endpoint.authority), *(headers or []), ("connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        with self.connect() as connection:
            connection.send(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
            return connection.read_answer("GET")


def of_endpoint(patient: Patient) -> Iterator[Finding]:
    """Yield what there is to say of an endpoint, as it is found."""
    endpoint = patient.dialer.endpoint
    reached = list(_reach(patient))
    yield from reached
    if any(finding.id == "reached" and finding.is_bad for finding in reached):
        return
    if endpoint.is_tls:
        yield from of_tls(patient)
    elif not endpoint.is_loopback:
        yield Finding(
            "tls", "warning", "plain HTTP: others on the way can read everything, and change what isn't signed",
            "use https://; `anys3 serve` takes --tls-cert and --tls-key",
        )  # fmt: skip
    try:
        began = time.time_ns() / 1e9
        answer = patient.get("/")
    except (ExchangeError, ValueError) as error:
        yield Finding(
            "http", "problem", f"no whole answer to GET /: {error}", "look at the server's or proxy's log"
        )
        return
    yield of_date(answer.header("date"), began, time.time_ns() / 1e9)
    yield of_latency(_latencies_ms(patient))
    is_s3 = of_s3(answer)
    yield is_s3
    if is_s3.is_bad:
        return
    yield from of_addressing(patient)
    yield from of_caller(patient)


def _reach(patient: Patient) -> Iterator[Finding]:
    endpoint = patient.dialer.endpoint
    try:
        patient.connect().close()
    except Unreachable as error:
        cause = error.__cause__
        if not isinstance(cause, ssl.SSLCertVerificationError):
            yield Finding("reached", "problem", str(error), _unreachable_advice(cause))
            return
        patient.is_trusted = False
        yield Finding(
            "trust", "problem", f"the certificate isn't trusted: {cause.verify_message}",
            "give --ca-file if it is your own (DIR/tls-self-signed.pem); else get one for this name. Nothing was"
            " sent with credentials",
        )  # fmt: skip
        try:
            patient.connect().close()
        except Unreachable as again:
            yield Finding("reached", "problem", str(again), _unreachable_advice(again.__cause__))
            return
    yield Finding("reached", "ok", f"{endpoint.host} port {endpoint.port} takes connections")


def _unreachable_advice(cause: BaseException | None) -> str:
    if isinstance(cause, socket.gaierror):
        return "check the name, and the DNS of this machine"
    if isinstance(cause, ConnectionRefusedError):
        return "nobody listens there: start the server, and check its --listen and the port"
    if isinstance(cause, ssl.SSLError):
        return "check that the server speaks TLS on this port; http:// if it doesn't"
    return "check the address, the route and the firewalls in between"


# --- TLS ----------------------------------------------------------------------------------------------


def of_tls(patient: Patient) -> Iterator[Finding]:
    """Tell the version, and for how long and whom the certificate is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with patient.dialer.connect(context=context) as connection:
            version, raw = connection.tls_version or "", connection.raw_certificate
    except Unreachable as error:
        yield Finding("tls", "problem", str(error), _unreachable_advice(error.__cause__))
        return
    is_old = version in ("TLSv1", "TLSv1.1", "SSLv3")
    yield Finding("tls", "warning" if is_old else "ok", version, "turn on TLS 1.2 and 1.3" if is_old else "")
    try:
        names, ends_s = tls.names_and_end_of(raw or b"")
    except (tls.CryptographyMissing, ValueError) as error:
        yield Finding("certificate", "note", f"the certificate can't be read: {error}")
        return
    yield of_days((ends_s - time.time_ns() / 1e9) / 86_400, names)


def of_days(days: float, names: list[str]) -> Finding:
    """Tell what the rest of a certificate's life means."""
    told = f"the certificate for {', '.join(names) or 'no name'}"
    if days < 0:
        return Finding("certificate", "problem", f"{told} expired {-days:.0f} days ago", "renew it")
    if days < _SOON_DAYS:
        return Finding("certificate", "warning", f"{told} ends in {days:.0f} days", "renew it")
    return Finding("certificate", "ok", f"{told} lasts for {days:.0f} days")


# --- HTTP and S3 --------------------------------------------------------------------------------------


def of_date(date: str | None, before_s: float, after_s: float) -> Finding:
    """Compare the server's clock with ours; a Date has no fractions of a second."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Finding(
            "clock", "warning", f"the answer's Date can't be read: {date!r}", "look at the proxy before it"
        )
    skew = theirs - before_s if theirs < before_s else max(theirs - after_s, 0.0)
    if abs(skew) <= 1:
        return Finding("clock", "ok", "the server's clock and ours agree")
    side = "ahead of" if skew > 0 else "behind"
    told = f"the server's clock is {abs(skew):.0f} s {side} ours"
    if abs(skew) > _BROKEN_SKEW_S:
        return Finding(
            "clock", "problem", told, "set both by NTP: beyond 15 minutes every signature is refused"
        )
    level: Level = "warning" if abs(skew) > _SKEW_S else "ok"
    return Finding(
        "clock", level, told, "set both by NTP: 15 minutes break signatures" if level != "ok" else ""
    )


def _latencies_ms(patient: Patient) -> list[float]:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        try:
            patient.get("/")
        except (ExchangeError, ValueError):
            continue
        times.append(1000 * (time.perf_counter() - began))
    return times


def of_latency(times_ms: list[float]) -> Finding:
    """Tell how long a request on a new connection takes."""
    if len(times_ms) < _ROUNDS:
        return Finding(
            "latency", "problem", f"{_ROUNDS - len(times_ms)} of {_ROUNDS} requests were not answered",
            "look at the log of the server, and of what is between",
        )  # fmt: skip
    median = statistics.median(times_ms)
    told = f"a request on a new connection takes {median:.0f} ms (median of {_ROUNDS}), {max(times_ms):.0f} ms at worst"
    return Finding("latency", "note" if median > _SLOW_MS else "ok", told)


def of_s3(answer: Answer) -> Finding:
    """Tell whether GET / without a signature is answered as S3 answers."""
    code = _code(answer)
    if code or b"<ListAllMyBucketsResult" in answer.body:
        server = answer.header("server")
        return Finding(
            "s3", "ok", f"it is S3: {answer.status} {code}{f', Server: {server}' if server else ''}".rstrip()
        )
    if 300 <= answer.status < 400 and answer.header("location"):
        return Finding(
            "s3",
            "problem",
            f"it redirects to {answer.header('location')}",
            "give the endpoint that it leads to",
        )
    return Finding(
        "s3", "problem", f"it answers {answer.status} without an S3 document (Content-Type:"
        f" {answer.header('content-type')})", "check the port and the path: this may be a console, or a proxy",
    )  # fmt: skip


def _code(answer: Answer) -> str:
    found = _CODE.search(answer.body)
    return found[1].decode() if found else ""


def of_addressing(patient: Patient) -> Iterator[Finding]:
    """Ask for a bucket that nobody has, both ways."""
    endpoint = patient.dialer.endpoint
    code = _code_of(patient, f"/{_NOBODYS}", "")
    if code:
        yield Finding("path-style", "ok", f"BUCKET in the path is understood ({code})")
    else:
        yield Finding(
            "path-style", "warning", "BUCKET in the path isn't answered as S3", "try virtual-host addressing"
        )
    if endpoint.is_ip_address or endpoint.is_loopback:
        return
    host = f"{_NOBODYS}.{endpoint.host}"
    try:
        socket.getaddrinfo(host, endpoint.port)
    except OSError:
        yield Finding(
            "virtual-host", "note", f"BUCKET.{endpoint.host} has no address",
            "nothing if clients use path style; else a wildcard in the DNS, and `anys3 serve --domain`",
        )  # fmt: skip
        return
    is_there = bool(_code_of(patient, "/", endpoint.authority_of(host)))
    yield Finding(
        "virtual-host", "ok" if is_there else "note",
        f"BUCKET.{endpoint.host} {'leads to S3' if is_there else 'is not answered as S3'}",
    )  # fmt: skip


def _code_of(patient: Patient, path: str, host: str) -> str:
    try:
        return _code(patient.get(path, host=host))
    except (ExchangeError, ValueError):
        return ""


# --- who we are ---------------------------------------------------------------------------------------


def of_caller(patient: Patient) -> Iterator[Finding]:
    """List the buckets with the credentials of the AWS chain, if there are any and the server is trusted."""
    if not patient.is_trusted:
        yield Finding("credentials", "note", "not tried: the certificate isn't trusted")
        return
    home = Path(patient.environment.get("HOME", "/"))
    try:
        found = credentials.find(patient.environment, home, patient.profile)
    except credentials.NoCredentials as error:
        yield Finding("credentials", "note", f"only looked at without a key: {error}")
        return
    region = patient.region or found.region or DEFAULT_REGION
    answer = _list_buckets(patient, found.credentials, region)
    expected = _expected_region(answer)
    if answer.status != 200 and expected and expected != region:
        yield Finding(
            "region", "warning", f"it is in the region {expected}, and we signed for {region}",
            f"set AWS_REGION={expected}, or give --region {expected}",
        )  # fmt: skip
        region = expected
        answer = _list_buckets(patient, found.credentials, region)
    yield of_listing(answer, f"{found.credentials.access_key_id} ({found.source})", region)


def _expected_region(answer: Answer) -> str:
    header = answer.header("x-amz-bucket-region")
    found = _REGION.search(answer.body) or _EXPECTED_REGION.search(answer.body)
    return header or (found[1].decode() if found else "")


def _list_buckets(patient: Patient, who: signing.Credentials, region: str) -> Answer:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = [("x-amz-date", now), ("x-amz-content-sha256", signing.EMPTY_SHA256)]
    if who.session_token:
        headers.append(("x-amz-security-token", who.session_token))
    signed = [("host", patient.dialer.endpoint.authority), *headers]
    line = signing.sign(
        "GET", "/", "", signed, credentials=who, scope=signing.Scope(now[:8], region), amz_date=now,
        payload_hash=signing.EMPTY_SHA256,
    )  # fmt: skip
    try:
        return patient.get("/", [*headers, ("authorization", line)])
    except (ExchangeError, ValueError) as error:
        return Answer(0, (), str(error).encode())


_ADVICE = {
    "SignatureDoesNotMatch": "check the secret; and whether a proxy changes Host or the path",
    "InvalidAccessKeyId": "check the access key id: `anys3 key list` shows those of an anys3 store",
    "RequestTimeTooSkewed": "set the clocks by NTP",
    "AuthorizationHeaderMalformed": "check the region",
}


def of_listing(answer: Answer, who: str, region: str) -> Finding:
    """Tell what the answer to ListBuckets means."""
    if answer.status == 200 and b"<ListAllMyBucketsResult" in answer.body:
        count = answer.body.count(b"<Bucket>")
        return Finding("credentials", "ok", f"{who} is accepted in {region}, and sees {count} buckets")
    code = _code(answer)
    if code == "AccessDenied":
        return Finding("credentials", "note", f"{who} is known, and may not list buckets")
    told = f"{who} isn't accepted: {answer.status or 'no answer'} {code}".rstrip()
    return Finding("credentials", "problem", told, _ADVICE.get(code, "look at the server's log"))
