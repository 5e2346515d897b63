"""Which operation a request is. No request falls through to an operation that it did not ask for."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from anys3.spec import catalogue
from anys3.spec.errors import S3Error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anys3.model import Target
    from anys3.spec.catalogue import Operation

_Route = tuple[bytes, str, frozenset[str]]

_COPY_SOURCE = "header:x-amz-copy-source"
_FORM = "header:content-type=multipart/form-data"
_METHODS = frozenset({b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"})


class Router:
    """Finds the operation of a request among those that a server serves."""

    def __init__(self, profiles: frozenset[str] | None = None, annex: frozenset[str] | None = None) -> None:
        """Serve these profiles and these calls of the annex; None serves all of them."""
        self._routes: dict[_Route, Operation] = {}
        self._unserved: dict[_Route, Operation] = {}
        for operation, is_served in _narrow(profiles, annex):
            routes = self._routes if is_served else self._unserved
            for resource in _resources(operation):
                routes[operation.method.encode(), resource, frozenset(operation.selectors)] = operation
        self._plain = {
            method: operation
            for (method, resource, selectors), operation in self._routes.items()
            if resource == "object" and not selectors
        }
        self._known = {name for name, row in catalogue.query_names().items() if row.is_subresource}
        self._selecting = _by_place(self._routes)

    def resolve(
        self, method: bytes, target: Target, query: Mapping[str, str], headers: Mapping[bytes, bytes]
    ) -> Operation:
        """Return the operation that the request asks for.

        A sub-resource counts whatever its value is. Raises S3Error:
            NotImplemented: a sub-resource that S3 knows, but not this server, or not here (HTTP-14).
            MethodNotAllowed: nothing can be done with this method here (HTTP-13).
            InvalidArgument: sub-resources that exclude each other, or only one of partNumber and uploadId
                (UP-09).
            PreconditionFailed: a POST to a bucket that is no form (POST-10).
        """
        if not query and target.key is not None:
            operation = self._plain.get(method)
            if operation is not None and b"x-amz-copy-source" not in headers:
                return operation
        resource = "service" if target.bucket is None else "bucket" if target.key is None else "object"
        selectors = self._selectors(method, resource, query)
        asked_by_header = frozenset(_asked_by_header(headers))
        # A header that selects nothing together with the query is left to the binding, which refuses it.
        operation = self._routes.get((method, resource, selectors | asked_by_header))
        if operation is None:
            operation = self._routes.get((method, resource, selectors))
        if operation is None:
            raise self._refusal(method, resource, selectors, asked_by_header)
        return operation

    def _selectors(self, method: bytes, resource: str, query: Mapping[str, str]) -> frozenset[str]:
        """Return the names in the query that select an operation, or would elsewhere."""
        if not query or method == b"OPTIONS":
            # A browser asks about the URL that it wants to use, query and all.
            return frozenset()
        is_part = method == b"PUT" and resource == "object"
        return frozenset(
            f"{name}={value}" if name == "list-type" else name
            for name, value in query.items()
            if name in self._known or (is_part and name == "partNumber")
        )

    def _refusal(
        self, method: bytes, resource: str, selectors: frozenset[str], asked_by_header: frozenset[str]
    ) -> S3Error:
        unserved = self._unserved.get((method, resource, selectors | asked_by_header)) or self._unserved.get(
            (method, resource, selectors)
        )
        if unserved is not None:
            return _not_served(unserved, selectors)
        if method not in _METHODS or not selectors:
            return self._method_refusal(method, resource)
        here = self._selecting.get((method, resource), frozenset())
        strange = sorted(selectors - here)
        list_type = next((name for name in strange if name.startswith("list-type=")), None)
        if list_type is not None and "list-type=2" in here:
            return _invalid("list-type", list_type.partition("=")[2], "The list type must be 2.")
        if strange:
            name = strange[0].partition("=")[0]
            return S3Error(
                "NotImplemented",
                f"The sub-resource {name!r} is not implemented for {method.decode()} on this resource.",
                ArgumentName=name,
            )
        if method == b"PUT" and selectors < {"partNumber", "uploadId"}:
            (missing,) = {"partNumber", "uploadId"} - selectors
            return _invalid(
                missing, "", f"A part is uploaded with both partNumber and uploadId; {missing} is missing."
            )
        names = sorted(selectors)
        return _invalid(names[0], "", f"These sub-resources exclude each other: {', '.join(names)}.")

    def _method_refusal(self, method: bytes, resource: str) -> S3Error:
        if method == b"POST" and (b"POST", resource, frozenset({_FORM})) in self._routes:
            return S3Error(
                "PreconditionFailed",
                "A POST to a bucket is a form upload, of content type multipart/form-data.",
                Condition="Bucket POST must be of the enclosure-type multipart/form-data",
            )
        error = S3Error("MethodNotAllowed", Method=method.decode("latin-1"))
        allowed = sorted({route[0] for route in self._routes if route[1] == resource and not route[2]})
        error.headers = b"Allow: %b\r\n" % b", ".join(allowed)
        return error


@lru_cache(maxsize=32)
def _narrow(
    profiles: frozenset[str] | None, annex: frozenset[str] | None
) -> tuple[tuple[Operation, bool], ...]:
    """Return every operation, with the inputs it does not act on, and whether it is served."""

    def serves(profile: str, call: str) -> bool:
        return (annex is None or call in annex) if call else (profiles is None or profile in profiles)

    narrowed = []
    for operation in catalogue.operations().values():
        unserved = frozenset(
            member.name for member in operation.input if not serves(member.profile, member.annex)
        )
        narrow = replace(operation, unserved=unserved) if unserved else operation
        narrowed.append((narrow, serves(operation.profile, operation.annex)))
    return tuple(narrowed)


def _resources(operation: Operation) -> tuple[str, ...]:
    return ("bucket", "object") if operation.resource == "any" else (operation.resource,)


def _by_place(routes: Mapping[_Route, Operation]) -> dict[tuple[bytes, str], frozenset[str]]:
    """Return the selectors that mean something for each method and resource."""
    found: dict[tuple[bytes, str], frozenset[str]] = {}
    for method, resource, selectors in routes:
        found[method, resource] = found.get((method, resource), frozenset()) | selectors
    return found


def _asked_by_header(headers: Mapping[bytes, bytes]) -> Iterator[str]:
    if b"x-amz-copy-source" in headers:
        yield _COPY_SOURCE
    if headers.get(b"content-type", b"")[:19].lower() == b"multipart/form-data":
        yield _FORM


def _not_served(operation: Operation, selectors: frozenset[str]) -> S3Error:
    asked = f" ({', '.join(sorted(selectors))})" if selectors else ""
    return not_offered(f"{operation.name}{asked}", operation.profile, operation.annex, operation.name)


def not_offered(what: str, profile: str, annex: str = "", group: str = "") -> S3Error:
    """Return the refusal of what a server in strict mode leaves out; it names the requirements."""
    owner = f"annex call {annex}"
    if profile:
        owner = f"profile {profile} ({catalogue.requirements_of(profile, group)})"
    return S3Error(
        "NotImplemented",
        f"{what} belongs to the {owner}, which this server does not offer.",
        log=f"{what}: {owner} is not served",
    )


def _invalid(name: str, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)
