"""What a request asks of its operation. No header that asks for behaviour is silently ignored.

What the catalogue says of an operation is compiled once into a dictionary from names to actions. Most
requests meet two or three of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.wire import shapes
from anys3.wire.routing import not_offered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anys3.protocol.http import Request
    from anys3.spec.catalogue import Header, Input, Operation

    Action = Callable[[Any, Any], None]
    """Takes the input object and the value that was sent."""

_META = b"x-amz-meta-"
_CHECKSUM = b"x-amz-checksum-"
_MAX_DIGITS = 19

_KNOWN = frozenset(name.encode() for name in catalogue.headers()) | {
    # They stand in nearly every request and mean nothing here: looked up first, to save time.
    b"accept",
    b"accept-encoding",
    b"connection",
    b"expect",
    b"user-agent",
}


class _Plan:
    """An operation's actions, compiled."""

    __slots__ = ("has_body", "headers", "make", "names", "queries", "reads_all", "silent", "takes_metadata")

    def __init__(self, operation: Operation) -> None:
        self.make: Callable[[], Any] = getattr(shapes, f"{operation.name}Input")
        self.takes_metadata = any(member.where == "prefix-headers" for member in operation.input)
        self.has_body = operation.body != "none"
        self.headers: dict[bytes, Action] = {}
        self.queries: dict[str, Action] = {}
        if not operation.takes_any_query:
            self.headers = _header_actions(operation)
            self.queries = _query_actions(operation)
        self.reads_all = self.takes_metadata or self.has_body
        self.names = frozenset(self.headers)
        self.silent = _KNOWN - self.names


_plans: dict[Operation, _Plan] = {}


def bind(operation: Operation, request: Request, query: Mapping[str, str]) -> Any:
    """Return the operation's input (its class in `wire.shapes`), with what the request says set.

    Headers stay bytes and query values str, unless the catalogue gives them a type. Metadata names come
    without `x-amz-meta-`. Headers that S3 does not know, and those that are ignored on purpose (HTTP-16),
    do nothing. Raises S3Error:
        NotImplemented: a header or parameter that this operation does not act on (HTTP-15, HTTP-16).
        InvalidArgument, InvalidStorageClass, AccessControlListNotSupported and others: a value that the
            catalogue does not allow.
    """
    plan = _plans.get(operation)
    if plan is None:
        plan = _plans[operation] = _Plan(operation)
    want = plan.make()
    headers = request.headers
    if plan.reads_all:
        _bind_all(plan, want, headers)
    elif not plan.names.isdisjoint(headers):
        for name, value in headers.items():
            if name in plan.names:
                plan.headers[name](want, value)
    if query:
        for parameter, text in query.items():
            action = plan.queries.get(parameter)
            if action is not None:
                action(want, text)
    return want


def _bind_all(plan: _Plan, want: Any, headers: Mapping[bytes, bytes]) -> None:
    metadata: dict[bytes, bytes] = {}
    actions, silent = plan.headers, plan.silent
    for name, value in headers.items():
        if name in silent:
            continue
        action = actions.get(name)
        if action is not None:
            action(want, value)
        elif name.startswith(_META):
            metadata[name[len(_META) :]] = value
        elif plan.has_body and name.startswith(_CHECKSUM):
            # Never stored unverified (PAY-13).
            raise S3Error(
                "InvalidRequest", "This checksum algorithm is unknown.", Header=name.decode("latin-1")
            )
    if metadata and plan.takes_metadata:
        want.metadata = metadata


def _header_actions(operation: Operation) -> dict[bytes, Action]:
    actions: dict[bytes, Action] = {}
    for header in catalogue.headers().values():
        action = _elsewhere(header, operation)
        if action is not None:
            actions[header.name.encode()] = action
    for member in operation.input:
        if member.where == "header":
            actions.pop(member.wire.encode(), None)
            action = _member_action(member, operation)
            if action is not None:
                actions[member.wire.encode()] = action
    return actions


def _elsewhere(header: Header, operation: Operation) -> Action | None:
    """Return what happens to a header that the operation does not bind; None: nothing."""
    if header.kind == "neutral":
        return _neutral(header, operation)
    if header.kind == "ignored" or header.layer:
        return None
    when = {"refused-on-writes": "write", "refused-with-body": "body", "ignored": "never"}
    condition = header.when if header.kind == "refused" else when.get(header.elsewhere, "")
    applies = {"": True, "write": operation.is_write, "body": operation.body != "none", "never": False}
    return _refuse_header(header.name, header.neutral) if applies[condition] else None


def _neutral(header: Header, operation: Operation) -> Action:
    neutral = frozenset(value.encode() for value in header.neutral)
    known = frozenset(value.encode() for value in header.known)
    refusal = header.refusal_on.get(operation.name, header.refusal)

    def check(_want: Any, value: bytes) -> None:
        if value in neutral:
            return
        text = value.decode("latin-1")
        if value in known:
            raise S3Error(refusal, _unasked(header.name, text), Header=header.name)
        raise S3Error(header.unknown, ArgumentName=header.name, ArgumentValue=text)

    return check


def _unasked(name: str, value: str) -> str:
    return f"This server does not act on {name}: {value}."


def _refuse_header(name: str, neutral: tuple[str, ...] = ()) -> Action:
    accepted = frozenset(value.encode() for value in neutral)

    def refuse(_want: Any, value: bytes) -> None:
        if value not in accepted:
            raise S3Error("NotImplemented", f"This operation does not act on the header {name}.", Header=name)

    return refuse


def _query_actions(operation: Operation) -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for row in catalogue.query_names().values():
        if not row.is_subresource and row.elsewhere != "ignored":
            actions[row.name] = _refuse_parameter(row.name, row.elsewhere)
    for selector in operation.selectors:
        actions.pop(selector, None)
    for member in operation.input:
        if member.where == "query":
            actions.pop(member.wire, None)
            action = _member_action(member, operation)
            if action is not None:
                actions[member.wire] = action
    return actions


def _refuse_parameter(name: str, code: str) -> Action:
    def refuse(_want: Any, value: str) -> None:
        message = f"This operation does not take the parameter {name}."
        raise S3Error(code, message, ArgumentName=name, ArgumentValue=value)

    return refuse


def _member_action(member: Input, operation: Operation) -> Action | None:
    """Return what sets the member, or refuses it because its profile is not served; None: ignore it."""
    if member.name not in operation.unserved:
        return _setter(member)
    if member.unserved == "ignored":
        return None
    accepted = frozenset(value.encode() for value in member.neutral)

    def refuse(_want: Any, value: bytes | str) -> None:
        if value not in accepted:
            error = not_offered(f"{member.wire} of {operation.name}", member.profile, member.annex)
            error.details |= {"Header" if member.where == "header" else "ArgumentName": member.wire}
            raise error

    return refuse


def _setter(member: Input) -> Action:
    attribute = member.attribute
    convert = _converter(member)
    if convert is None:

        def assign(want: Any, value: bytes | str) -> None:
            setattr(want, attribute, value)

        return assign
    checked = convert

    def assign_checked(want: Any, value: bytes | str) -> None:
        if not value:
            if member.empty == "absent":
                return
            if member.empty:
                raise S3Error(member.empty, ArgumentName=member.wire, ArgumentValue="")
        setattr(want, attribute, checked(value))

    return assign_checked


def _converter(member: Input) -> Callable[[Any], object] | None:
    """Return what turns a value as sent into the member's value; None: it stays as it is."""
    if member.values:
        return _choice(member)
    if member.type == "integer":
        return _integer(member)
    if member.type == "boolean":
        return lambda value: _boolean(member, value)
    if member.type == "version":
        return _version
    return (lambda value: value) if member.empty else None


def _refuse_value(member: Input, value: bytes | str, expected: str) -> NoReturn:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    message = f"{member.wire} must be {expected}, not {text!r}."
    raise S3Error(member.refusal, message, ArgumentName=member.wire, ArgumentValue=text)


def _choice(member: Input) -> Callable[[bytes | str], bytes | str]:
    allowed: frozenset[bytes | str] = frozenset(member.values) | {value.encode() for value in member.values}
    expected = " or ".join(member.values)

    def convert(value: bytes | str) -> bytes | str:
        if value not in allowed:
            _refuse_value(member, value, expected)
        return value

    return convert


def _integer(member: Input) -> Callable[[bytes | str], int]:
    least = member.least or 0
    most = member.most if member.most is not None else 2**63 - 1
    expected = f"an integer from {least} to {most}"

    def convert(value: bytes | str) -> int:
        if value.isdigit() and value.isascii() and len(value) <= _MAX_DIGITS:
            number = int(value)
            if least <= number <= most:
                return number
        _refuse_value(member, value, expected)

    return convert


def _boolean(member: Input, value: str) -> bool:
    word = value.lower()
    if word not in {"true", "false", ""}:
        _refuse_value(member, value, "true or false")
    return word == "true"


def _version(value: str) -> str:
    """Return `null`, the only version that an object without versioning has (GET-06, DEL-06)."""
    if value == "null":
        return value
    if not value:
        raise S3Error(
            "InvalidArgument", "The version id is empty.", ArgumentName="versionId", ArgumentValue=""
        )
    raise S3Error("NoSuchVersion", VersionId=value)
