"""POST forms: every cut gives the same fields and file; a policy allows what each of its conditions allows."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from anys3.protocol import post_policy
from anys3.protocol.form_data import MAX_FIELD_BYTES, FormDecoder, boundary_of
from tests.torture.fuzz.kit import NOW_S, cuts, dice, hold, outcome, same


def decode(pieces: list[bytes], boundary: bytes) -> Any:
    """Return the fields, the file's name and its bytes."""
    decoder = FormDecoder(boundary)
    content = b"".join(bytes(view) for piece in pieces for view in decoder.feed(piece))
    decoder.finish()
    return decoder.fields, decoder.file_name, content


def post_form(data: bytes) -> None:
    """Decode a form; the first line is the Content-Type."""
    content_type, _, body = data.partition(b"\n")
    code, boundary = outcome(boundary_of, content_type)
    if code or b"\r" in boundary or b"\n" in boundary:
        return
    told = [outcome(decode, pieces, boundary) for pieces in cuts(body, dice(data))]
    for other in told:
        same(other, told[0], "cut otherwise")
    code, value = told[0]
    if code:
        return
    fields, _, content = value
    hold(sum(map(len, fields.values())) <= MAX_FIELD_BYTES, "fields beyond the limit")
    hold("file" not in fields, "the file is a field")
    same((set(fields), content), plain(body, boundary), "fields and file")


def plain(body: bytes, boundary: bytes) -> tuple[set[str], bytes]:
    """Return the names of the fields and the file, read in the simplest way."""
    names = set()
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if part.startswith(b"\r\n\r\n"):
            head, content = b"", part[4:]
        name = None
        for line in head.split(b"\r\n"):
            if line.partition(b":")[0].strip().lower() == b"content-disposition" and name is None:
                found = re.findall(r';\s*([A-Za-z0-9_*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))', line.decode())
                values = {key.lower(): quoted or bare for key, quoted, bare in found}
                name = values.get("name")
        if name is not None and unescaped(name).lower() == "file":
            return names, content
        if name is not None:
            names.add(unescaped(name).lower())
    return names, b""


def unescaped(name: str) -> str:
    """Return a quoted name as it is meant."""
    return re.sub(r'\\(["\\])', r"\1", name).replace("%22", '"')


def policy(data: bytes) -> None:
    """Hold fields against a policy: a first line of JSON has the fields, the rest is the policy's text."""
    first, _, text = data.partition(b"\n")
    try:
        fields = json.loads(first)
    except (ValueError, RecursionError):
        return
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        return
    fields = {name.lower(): value for name, value in fields.items()}
    encoded = base64.b64encode(text).decode()
    fields["policy"] = encoded
    code, length = outcome(post_policy.check, encoded, fields, "bucket", NOW_S)
    if code:
        hold(code in ("InvalidPolicyDocument", "AccessDenied"), code)
        return
    document = json.loads(text)
    hold(length is None or length[0] >= 0, "a range below 0")
    covered = {"file", "policy", "x-amz-signature", "signature", "awsaccesskeyid"}
    sent = {**fields, "bucket": "bucket"}
    for condition in document["conditions"]:
        if isinstance(condition, dict):
            ((name, value),) = condition.items()
            operator = "eq"
        elif str(condition[0]).lower() == "content-length-range":
            continue
        else:
            operator, name, value = condition
            name = name[1:]
        name = name.lower()
        covered.add(name)
        actual = sent.get(name, "")
        holds = actual == value if operator.lower() == "eq" else actual.startswith(value)
        is_list = name == "content-type" and operator.lower() == "starts-with"
        hold(holds or is_list, f"{condition!r} does not hold for {actual!r}")
    loose = {name for name in sent if name not in covered and not name.startswith("x-ignore-")}
    hold(not loose, f"fields that no condition covers: {loose}")
    for condition in document["conditions"]:
        if isinstance(condition, dict) or condition[0] == "eq":
            name = (next(iter(condition)) if isinstance(condition, dict) else condition[1][1:]).lower()
            if name not in ("bucket", "policy"):
                changed = {**fields, name: fields.get(name, "") + "x"}
                refused, _ = outcome(post_policy.check, encoded, changed, "bucket", NOW_S)
                hold(refused != "", f"{name} may be changed")
    refused, _ = outcome(post_policy.check, encoded, fields, "bucket", 253_402_300_800)
    hold(refused != "", "a policy that never expires")
    refused, _ = outcome(post_policy.check, encoded, fields, "another", NOW_S)
    hold(refused != "", "a policy for every bucket")
