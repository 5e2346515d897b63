"""The steps of one vector, run in order against the endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from anys3.client.answers import Answer
from anys3.client.connections import ExchangeError
from anys3.client.signing import Credentials
from anys3.conformance.vectors import content, matchers, placeholders, prerequisites, schema
from anys3.conformance.vectors.content import Blob, Literal
from anys3.conformance.vectors.definition import Step, Vector
from anys3.conformance.vectors.expectations import BodyTaker, Expected, Observed, mismatches, told_error
from anys3.conformance.vectors.footprint import (
    Footprint,
    Write,
    upload_and_version,
    write_of_operation,
    write_of_request,
)
from anys3.conformance.vectors.placeholders import DefinitionError
from anys3.conformance.vectors.sdk import Call, Sdk, Unparsable
from anys3.conformance.vectors.sending import Request, Sender, decoded_text, wire_text
from anys3.conformance.vectors.target import INVALID

_PATH = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")


class StepFailed(Exception):
    """An expectation did not hold; the message says expected and got."""


class Run:
    """One vector while it runs: what was made for it, and what its steps captured."""

    def __init__(self, vector: Vector, sender: Sender, sdk: Sdk | None, made: Footprint, prefix: str) -> None:
        """Run with these; the names of buckets begin with `prefix`, which nobody else uses."""
        self._vector = vector
        self._sender = sender
        self._sdk = sdk
        self._made = made
        self._prefix = prefix
        self._data = dict(vector.data or {})
        self._values: dict[str, Any] = {
            "env.endpoint": sender.target.endpoint.url,
            "env.region": sender.target.region,
        }
        self._with_versions: set[str] = set()

    def prepare(self) -> None:
        """Make the prerequisites. Raises Blocked, DefinitionError."""
        needed = set(placeholders.names([dict(step.members) for step in self._vector.steps]))
        needed.update(placeholders.names([dict(each.members) for each in self._vector.prerequisites]))
        for index, each in enumerate(self._vector.prerequisites):
            members = self._resolved(dict(each.members))
            handle = members["handle"]
            if each.kind == "$bucket":
                made = prerequisites.make_bucket(self._made, members, f"{self._prefix}-{index}")
                if "versioning" in members or members.get("objectLock"):
                    self._with_versions.add(handle)
            elif each.kind == "$object":
                made = prerequisites.make_object(
                    self._made,
                    members,
                    self._values[f"res.{members['bucket']}.name"],
                    self._blob(members["body"]) if "body" in members else None,
                    has_versions=members["bucket"] in self._with_versions,
                )
            else:
                owner = {f"res.{handle}.canonicalId", f"res.{handle}.displayName"}
                made = prerequisites.second_identity(self._made, handle, needs_owner=bool(owner & needed))
            self._values.update({f"res.{handle}.{name}": value for name, value in made.items()})

    def step(self, index: int, step: Step) -> None:
        """Run one step. Raises StepFailed; DefinitionError and NotSent where the vector is at fault."""
        where = f"step {index + 1} {step.kind[1:]} {step.members.get('name') or step.members.get('method')}"
        members = {
            name: self._resolved(value)
            for name, value in step.members.items()
            if name not in ("expect", "capture")
        }
        early = step.members.get("expect", {})
        # A body is held against what is expected as it comes, unless that hangs on what this answer says.
        own = {f"cap.{name}" for name in step.members.get("capture", {})}
        is_open = bool(own & set(placeholders.names(early.get("body"))))
        body = BodyTaker(None if is_open else self._expected_body(early), is_open=is_open)
        try:
            run = self._operation if step.kind == "$operation" else self._http
            observed, view = run(members, body)
        except (ExchangeError, Unparsable) as error:
            raise StepFailed(f"{where}: expected an answer, got none that can be read: {error}") from None
        missing = self._capture(self._resolved(dict(step.members.get("capture", {}))), view)
        if missing and not observed.has_failed:
            raise StepFailed(f"{where}: {missing}; answer: {observed.text}")
        expect = self._expect(early, captured=not missing)
        if is_open and not missing:
            body.close(self._expected_body(early))
        matchers.check(expect.get("response", {}), f"{where}.expect.response")
        matchers.check(expect.get("headers", {}), f"{where}.expect.headers")
        found = mismatches(expect, observed, body)
        if found or missing:
            raise StepFailed(f"{where}: {'; '.join(found or [missing])}")

    def _expect(self, early: Mapping[str, Any], *, captured: bool) -> dict[str, Any]:
        """Return the expectations with placeholders filled in; what a failed capture leaves open is dropped."""
        if captured:
            return dict(self._resolved(dict(early)))
        return {name: self._resolved(value) for name, value in early.items() if name in ("status", "error")}

    def _operation(self, members: Mapping[str, Any], body: BodyTaker) -> tuple[Observed, Any]:
        assert self._sdk is not None
        name, presign = members["name"], members.get("presign")
        self._sdk.check(name, members.get("params", {}), "$operation")
        parameters = self._sdk.shaped(name, members.get("params", {}), self._blob)
        credentials = self._identity(members.get("identity", "main"))
        call = Call(name, parameters, credentials, presign["expiresIn"] if presign else None)
        write = write_of_operation(name, parameters)
        if write is not None:
            self._made.will_write(write)
        try:
            observed = self._sdk.call(call, body)
        except BaseException:
            self._unanswered(write)
            raise
        self._note(write, observed, None)
        return observed, {"status": observed.status, "headers": dict(observed.headers)} | observed.response

    def _http(self, members: Mapping[str, Any], body: BodyTaker) -> tuple[Observed, Any]:
        request = self._request(members)
        credentials = self._identity(members.get("identity", "main"))
        if members.get("sign", True) and credentials is not None:
            request = self._sender.signed(request, credentials)
        else:
            request = self._sender.completed(request)
        write = write_of_request(request, self._sender.target.endpoint.host)
        if write is not None:
            self._made.will_write(write)
        try:
            answer = self._sender.exact(request, sink=body.take)
        except BaseException:
            self._unanswered(write)
            raise
        observed = _observed(request.method, answer, body.beginning)
        self._note(write, observed, body.beginning)
        return observed, {"status": observed.status, "headers": dict(observed.headers)}

    def _request(self, members: Mapping[str, Any]) -> Request:
        """Return the raw request of a `$http` step, nothing added. Raises DefinitionError."""
        body = self._blob(members["body"]) if "body" in members else None
        headers = tuple(
            (wire_text(name), wire_text(str(value))) for name, value in _pairs(members.get("headers", {}))
        )
        query = members.get("query", "")
        raw_query = wire_text(query) if isinstance(query, str) else _encoded(query)
        path = wire_text(str(members["path"]))
        if "?" in path and raw_query:
            path, _, rest = path.partition("?")
            raw_query = f"{rest}&{raw_query}"
        return Request(wire_text(str(members["method"])), path, raw_query, headers, body)

    def _note(self, write: Write | None, observed: Observed, body: bytes | None) -> None:
        if write is None:
            return
        if not observed.has_failed:
            self._made.wrote(write, *upload_and_version(observed, body))
        elif observed.status >= 500:
            self._made.may_have_written(write)

    def _unanswered(self, write: Write | None) -> None:
        if write is not None:
            self._made.may_have_written(write)

    def _identity(self, name: str) -> Credentials | None:
        target = self._sender.target
        if name == "anonymous":
            return None
        return {"main": target.credentials, "invalid": INVALID}.get(name, target.second)

    def _resolved(self, value: Any) -> Any:
        return placeholders.resolve(value, self._lookup)

    def _lookup(self, name: str) -> Any:
        """Return what a placeholder names. Raises DefinitionError."""
        if name in self._values:
            return self._values[name]
        kind, _, rest = name.partition(".")
        data, _, field = rest.rpartition(".")
        if kind == "data" and data in self._data and field in content.FIELDS:
            return content.field(self._data[data], field)
        raise DefinitionError(f"${{{name}}} cannot be resolved: nothing of that name came")

    def _blob(self, value: Any) -> Blob:
        """Return the bytes that content stands for. Raises DefinitionError."""
        if isinstance(value, dict):
            if "$base64" in value:
                return Literal(schema.decoded(str(value["$base64"]), "$base64"))
            if value.get("$data") in self._data:
                return self._data[value["$data"]]
            raise DefinitionError(f"there is no data {value.get('$data')!r}")
        return Literal(str(value).encode())

    def _expected_body(self, expect: Mapping[str, Any]) -> Expected:
        if "body" not in expect:
            return None
        wanted: Any = self._resolved(expect["body"])
        if isinstance(wanted, dict) and not wanted.keys() & {"$data", "$base64"}:
            return wanted
        return self._blob(wanted)

    def _capture(self, wanted: Mapping[str, str], view: Any) -> str:
        """Keep what is to be captured; return a sentence about the first that is not there."""
        for name, path in wanted.items():
            found = captured(view, path)
            if found is matchers.ABSENT:
                return f"capture {name}: expected {path} in the answer, got nothing"
            self._values[f"cap.{name}"] = found
        return ""


def captured(view: Any, path: str) -> Any:
    """Return what a capture's path leads to; ABSENT if it leads nowhere.

    >>> captured({"Contents": [{"Key": "a"}]}, "Contents[0].Key")
    'a'
    """
    position = 0
    while position < len(path):
        found = _PATH.match(path, position)
        if found is None:
            return matchers.ABSENT
        position = found.end()
        if found[1] is not None and isinstance(view, dict):
            view = view.get(found[1], matchers.ABSENT)
        elif found[2] is not None and isinstance(view, list) and int(found[2]) < len(view):
            view = view[int(found[2])]
        else:
            return matchers.ABSENT
    return view


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """Return ordered pairs, from pairs or from an object whose values may be lists."""
    if isinstance(value, list):
        return [(name, each) for name, each in value]
    return [
        (name, each)
        for name, found in value.items()
        for each in (found if isinstance(found, list) else [found])
    ]


def _encoded(query: Any) -> str:
    """Return a query percent-encoded; a parameter that is null has no equals sign."""
    parts = []
    for name, value in _pairs(query):
        encoded = quote(name, safe="-_.~")
        is_bare = value is None or value is True
        parts.append(encoded if is_bare else f"{encoded}={quote(str(value), safe='-_.~')}")
    return "&".join(parts)


def _observed(method: str, answer: Answer, body: bytes) -> Observed:
    """Return an answer as expectations see it."""
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        text = decoded_text(value)
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    is_bodiless = method == "HEAD" or answer.status == 304
    code: str | None = None
    message = ""
    # Only these may tell of an error with status 200; the content of an object is nobody's error.
    if answer.status >= 300 or (method in ("PUT", "POST") and b"<Error" in body[:512]):
        code, message = told_error(body)
    return Observed(answer.status, headers, code, message, {}, answer.reason, is_bodiless)
