"""Values of headers and queries, each against a plain reading of what it means."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from anys3.protocol import (
    addressing,
    checksums,
    conditions,
    copy_source,
    cors,
    dates,
    etags,
    listing,
    metadata,
    names,
    payload,
    percent,
    queries,
    ranges,
    tagging,
    uploads,
    xml,
)
from anys3.protocol.claims import Proof
from tests.torture.fuzz.kit import NOW_S, hold, outcome, same

BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
DOMAINS = (b"s3.example", b"localhost")
MAX_SIZE = 10**12


def is_text(data: bytes) -> bool:
    """Return whether the bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def range_header(data: bytes) -> None:
    """Read `SIZE value` as a range of a read and of a copy."""
    number, _, value = data.partition(b" ")
    if not number.isdigit() or int(number[:40]) > MAX_SIZE:
        return
    size = int(number[:40])
    code, found = outcome(ranges.parse, value, size)
    match = re.fullmatch(rb"bytes=([0-9]*)-([0-9]*)", value.strip().lower())
    if match is None or (not match[1] and not match[2]) or max(map(len, match.groups())) > 40:
        same((code, found), ("", None), "no range")
        return
    first, last = (int(group) if group else None for group in match.groups())
    wanted = (size - (last or 0), size - 1) if first is None else (first, size - 1 if last is None else last)
    covered = (max(0, wanted[0]), min(size - 1, wanted[1]))
    if first is not None and last is not None and first > last:
        same((code, found), ("", None), "backwards")
    elif covered[0] > covered[1]:
        same(code, "InvalidRange", "nothing is covered")
    else:
        same((code, found), ("", (covered[0], covered[1] - covered[0] + 1)), "range")
    code, part = outcome(ranges.parse_copy_range, value, size)
    is_inside = first is not None and last is not None and first <= last < size
    hold(is_inside or code != "", "a copy range beyond the source")
    if not code:
        same(part, (first, (last or 0) - (first or 0) + 1), "copy range")


def source(data: bytes) -> None:
    """Read a copy source: what is named is decoded once, and nothing else."""
    code, found = outcome(copy_source.parse, data)
    if code:
        return
    text = data.strip().rpartition(b"?versionId=null")
    path = unquote_to_bytes(text[0] if text[1] and not text[2] else data.strip())
    same(b"%b/%b" % (found.bucket.encode(), found.key), path.removeprefix(b"/"), "source")
    hold("/" not in found.bucket and found.bucket not in ("", ".", ".."), "a bucket with a path in it")
    hold(re.fullmatch(r"[a-z0-9.-]{3,63}", found.bucket) is not None, "bucket")
    hold(b"\0" not in found.key and is_text(found.key) and 1 <= len(found.key) <= 1024, "key")


def keys(data: bytes) -> None:
    """Read a path: decoded once, never normalised; and every key can be said."""
    code, target = outcome(addressing.parse, data, b"h", ())
    if not code and target.bucket is not None:
        hold(BROKEN.search(data) is None, "a broken escape was accepted")
        bucket, _, key = data[1:].partition(b"/")
        same(target.bucket.encode(), unquote_to_bytes(bucket), "bucket")
        same(target.key or b"", unquote_to_bytes(key), "key")
    code, _ = outcome(names.check_key, data)
    same(code == "", is_text(data) and b"\0" not in data and 1 <= len(data) <= 1024, "a key")
    if not code:
        path = b"/b/" + quote(data, safe="/-_.~").encode()
        same(addressing.parse(path, b"h", ()).key, data, "said and read")
    decoded = percent.decode(data)
    same(decoded, None if BROKEN.search(data) else unquote_to_bytes(data), "decoded")


def host(data: bytes) -> None:
    """Read a Host: a bucket is one label before a domain of ours; a path says no more than itself."""
    code, target = outcome(addressing.parse, b"/a/k", data, DOMAINS)
    if code:
        hold(not is_text(data), "refused")
        return
    name = re.sub(rb":[0-9]*$", b"", data).lower()
    label, _, domain = name.partition(b".")
    if target.is_virtual_host:
        same((target.bucket.encode(), domain in DOMAINS), (label, True), "bucket of a host")
        same(target.key, b"a/k", "key")
    else:
        same((target.bucket, target.key), ("a", b"k"), "path style")
    code, _ = outcome(lambda: names.check_bucket_name(data.decode("latin-1"), is_new=False))
    if not code:
        hold(re.fullmatch(rb"[a-z0-9.-]{3,63}", data) is not None, "a bucket's name")


def listings(data: bytes) -> None:
    """Read a token, and render keys: what XML or URL encoding says is the keys."""
    code, position = outcome(listing.decode_token, data.decode("latin-1"))
    if not code:
        same(listing.encode_token(position).encode(), data, "one token a position")
    same(listing.decode_token(listing.encode_token(data)), data, "position")
    lines = [line for line in data.split(b"\n") if line and is_text(line) and b"\xff" not in line][:20]
    rows = [(line, b"<Size>1</Size>") for line in lines]
    for is_url in (True, False):
        body = listing.render_contents(rows, is_url=is_url, owner=None)
        body += listing.render_prefixes(lines, is_url=is_url)
        document = xml.parse(b"<R>" + body + b"</R>")
        found = [node.text_of("Key").encode() for node in document.all("Contents")]
        prefixes = [node.text_of("Prefix").encode() for node in document.all("CommonPrefixes")]
        same(prefixes, found, "prefixes")
        if is_url:
            same([listing.decode_url(key) for key in found], lines, "keys by URL")
        elif all(xml.is_representable(line.decode()) for line in lines):
            same(found, lines, "keys by XML")
        same(len(found), len(lines), "rows")
    outcome(uploads.belongs, data.decode("latin-1"), 1, b"k")


def date(data: bytes) -> None:
    """Read a date in each of its forms."""
    amz, http = dates.parse_amz_date(data), dates.parse_http_date(data)
    if amz is not None:
        hold(re.fullmatch(rb"[0-9]{8}T[0-9]{6}Z", data) is not None, "an x-amz-date")
        if data[13:15] != b"60":
            moment = datetime.strptime(data.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            same(amz, int(moment.timestamp()), "x-amz-date")
    if http is not None and http >= 0:
        same(dates.parse_http_date(dates.http_date(http * 1000)), http, "written and read")
        if data.strip().endswith(b" GMT") and b"-" not in data and b":60 " not in data:
            same(int(parsedate_to_datetime(data.decode()).timestamp()), http, "date")
    conditions.if_range_holds(data, "e", NOW_S * 1000)


def etag_list(data: bytes) -> None:
    """Read a list of ETags: `*` is all, order and quotes say nothing, the two conditions are opposites."""
    listed = etags.parse_list(data)
    same(listed is etags.ANY, data.strip() == b"*", "any")
    for tag in listed:
        text = tag.etag.encode("latin-1")
        hold(text in data and b'"' not in text, f"a tag of its own: {text!r}")
    strong = conditions.Conditions(if_match=data)
    for one in [tag.etag for tag in listed[:10]] + ["none-of-them"]:
        code, _ = outcome(conditions.is_not_modified, strong, one, 0, NOW_S)
        is_there = listed is etags.ANY or any(tag.etag == one and not tag.is_weak for tag in listed)
        same(code, "" if is_there else "PreconditionFailed", "If-Match")
        weak = conditions.Conditions(if_none_match=data)
        is_there = listed is etags.ANY or any(tag.etag == one for tag in listed)
        same(conditions.is_not_modified(weak, one, 0, NOW_S), is_there, "If-None-Match")
    etags.unquote(data)


def metadata_headers(data: bytes) -> None:
    """Store lines of `name: value`: each becomes one line, and no value adds another."""
    pairs = [line.partition(b":") for line in data.split(b"\n") if line]
    sent = {name.strip().lower(): value for name, _, value in pairs if name.strip()}
    code, lines = outcome(metadata.stored_lines, sent, metadata.of_headers(sent))
    if code:
        hold(code in ("InvalidArgument", "MetadataTooLarge"), code)
        return
    hold(re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", lines) is None, "a control character is stored")
    hold(b"\n" not in lines.replace(b"\r\n", b"") and lines.endswith(b"\r\n"), "a line end is stored")
    stored = [name.lower() for name, _ in metadata.parse_lines(lines)]
    same(len(stored), lines.count(b"\r\n"), "lines")
    same(len(set(stored)), len(stored), "a name twice")
    wanted = {name for name in sent if name.startswith(b"x-amz-meta-")}
    same({name for name in stored if name.startswith(b"x-amz-meta-")}, wanted, "metadata")
    hold(stored.count(b"content-type") == 1, "Content-Type")
    code, changed = outcome(metadata.override, lines, {b"content-type": data})
    if not code and data:
        same(changed.count(b"\r\n"), lines.count(b"\r\n"), "lines of an override")


def tagging_header(data: bytes) -> None:
    """Read x-amz-tagging: tags that are accepted are those of the query, and keep to the limits."""
    code, tags = outcome(tagging.parse_header, data)
    if not code:
        hold(len(tags) <= 10 and len({key for key, _ in tags}) == len(tags), "too many tags, or one twice")
        hold(all(1 <= len(key) <= 128 and len(value) <= 256 for key, value in tags), "a long tag")
        plain = parse_qsl(data.strip().decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        same(
            [(key.encode(), value.encode()) for key, value in tags],
            [tuple(map(latin, p)) for p in plain],
            "tags",
        )


def latin(text: str) -> bytes:
    """Return text that stands for bytes."""
    return text.encode("latin-1")


def query(data: bytes) -> None:
    """Read a query: the first of each name, decoded once."""
    code, found = outcome(queries.parse, data)
    if not code:
        plain: dict[bytes, bytes] = {}
        for piece in data.split(b"&"):
            name, _, value = piece.replace(b"+", b" ").partition(b"=")
            if piece:
                plain.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
        same({name.encode(): value.encode() for name, value in found.items()}, plain, "parameters")
        hold(len(found) <= queries.MAX_PARAMETERS, "too many parameters")


def checksum_headers(data: bytes) -> None:
    """Read what headers say of a body, given as lines: nothing that can't be verified is taken."""
    pairs = [line.partition(b":") for line in data.split(b"\n") if line]
    sent = {name.strip().lower(): value.strip(b" \t") for name, _, value in pairs}
    proof = Proof(sent.get(b"x-amz-content-sha256", b""))
    code, plan = outcome(payload.plan, sent, proof, True)
    for algorithm, name in checksums.HEADERS.items():
        if not code and name in sent:
            same(plan.checksum_algorithm, algorithm, "algorithm")
            # Bits behind the last byte of the digest, for which base64 has room, mean nothing.
            same(plan.checksum, base64.b64decode(sent[name], validate=True), "checksum")
    if code:
        return
    if b"content-md5" in sent:
        try:
            same(plan.md5, base64.b64decode(sent[b"content-md5"].strip()), "Content-MD5")
        except binascii.Error:
            hold(False, "a Content-MD5 that is none")
    body = b"2\r\nab\r\n0\r\n\r\n" if plan.is_chunked else b"ab"
    code, received = outcome(payload.whole, plan, body, None)
    if not code:
        same((received[0], received[1].size), (b"ab", 2), "payload")
        hold(plan.sha256 is None or plan.sha256 == SHA256_AB, "another SHA-256")


SHA256_AB = b"fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"


def cors_rules(data: bytes) -> None:
    """Read an operator's CORS rules: accepted, or a ValueError that says why."""
    try:
        rules = cors.parse_json(data.decode("utf-8", "replace"))
    except ValueError:
        return
    except RecursionError:
        return  # the operator's own file
    for rule in rules:
        hold(all(pattern.count("*") <= 1 for pattern in rule.allowed_origins), "two wildcards")
    lines = cors.actual(rules, b"https://a.example", b"GET")
    hold(b"\n" not in lines.replace(b"\r\n", b""), "a line end was added")
