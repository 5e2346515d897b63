"""S3 operations through botocore, with all that it does of its own accord switched off.

botocore is an extra; `Sdk` is the only one that imports it, so that corpora without `$operation` run bare.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from anys3.client.answers import Answer
from anys3.client.connections import ExchangeError
from anys3.client.endpoint import is_localhost
from anys3.client.signing import Credentials
from anys3.conformance.vectors import content, matchers
from anys3.conformance.vectors.content import Blob, BlobFile
from anys3.conformance.vectors.expectations import BodyTaker, Observed
from anys3.conformance.vectors.placeholders import DefinitionError
from anys3.conformance.vectors.sending import Request, Sender, decoded_text

_SWITCHED_OFF = {
    "_handle_200_error",  # called from here, once the status was kept
    "add_expect_header",  # Expect: 100-continue
    "handle_copy_source_param",  # quotes CopySource
    "set_list_objects_encoding_type_url",  # asks for EncodingType=url, and decodes what comes
    "validate_bucket_name",
    "validate_ascii_metadata",
    "add_retry_headers",
    "add_recursion_detection_header",
}
_INLINE_BYTES = 1 << 20
_NOT_OF_THE_REQUEST = {
    "user-agent",
    "accept-encoding",
    "content-length",
    "transfer-encoding",
    "host",
    "expect",
}


class SdkMissing(Exception):
    """The corpus has `$operation` steps, and botocore is not installed."""


class NotSent(Exception):
    """The SDK could not make a request of the operation: nothing was sent."""


class Unparsable(Exception):
    """The SDK could not read the answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, its parameters with placeholders filled in and content as blobs."""

    name: str
    parameters: Mapping[str, Any]
    credentials: Credentials | None
    expires_s: int | None = None


class Sdk:
    """botocore, bound to one target. For any number of threads."""

    def __init__(self, sender: Sender) -> None:
        """Prepare; raises SdkMissing."""
        try:
            import botocore  # noqa: PLC0415 -- an extra
            import botocore.client  # noqa: PLC0415
            import botocore.handlers  # noqa: PLC0415
            import botocore.session  # noqa: PLC0415
        except ImportError:
            raise SdkMissing("vectors with $operation need botocore: pip install 'anys3[check]'") from None
        self._sender = sender
        self._botocore = botocore
        self._session = _session()
        self._model = self._session.get_service_model("s3")
        self._clients: dict[tuple[str, bool], Any] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def close(self) -> None:
        """Close the connections of all clients."""
        for client in self._clients.values():
            client.close()

    def check(self, name: str, parameters: Mapping[str, Any], where: str) -> None:
        """Raise DefinitionError if S3 has no such operation, or the operation no such member."""
        if name not in self._model.operation_names:
            raise DefinitionError(f"{where}.name: S3 has no operation {name!r}")
        _check_members(self._model.operation_model(name).input_shape, parameters, f"{where}.params")

    def shaped(self, name: str, parameters: Mapping[str, Any], blob: Callable[[Any], Blob]) -> dict[str, Any]:
        """Return the parameters with a blob wherever the operation takes bytes."""
        shape = self._model.operation_model(name).input_shape
        return dict(_shaped(shape, parameters, blob)) if shape is not None else {}

    def call(self, call: Call, body: BodyTaker) -> Observed:
        """Execute one operation; the answer's body goes to `body`, the parsed rest into what is observed.

        Raises ExchangeError (no answer), NotSent, Unparsable.
        """
        self._local.call = call
        self._local.is_sent = False
        self._local.status = 0
        self._local.content = b""
        with _Raw(max_size=_INLINE_BYTES) as self._local.raw:
            return self._called(call, body)

    def _called(self, call: Call, body: BodyTaker) -> Observed:
        client = self._client(None if call.expires_s is not None else call.credentials, call.expires_s)
        try:
            # The raw call, not the client's method: it knows all operations by their API names.
            parsed = client._make_api_call(call.name, dict(call.parameters))  # noqa: SLF001
        except self._botocore.exceptions.ClientError as error:
            return self._refused(call, error.response, body)
        except self._botocore.parsers.ResponseParserError as error:
            raise Unparsable(f"the answer cannot be parsed: {error}") from None
        except (
            self._botocore.exceptions.HTTPClientError,
            self._botocore.exceptions.ConnectionError,
        ) as error:
            raise ExchangeError(f"no answer: {error}") from None
        except ExchangeError:
            raise
        except Exception as error:  # before it is sent all is of the parameters, afterwards of the answer
            sentence = f"{type(error).__name__}: {error}"
            if self._local.is_sent:
                raise Unparsable(f"the answer cannot be parsed: {sentence}") from error
            raise NotSent(f"botocore cannot make the request: {sentence}") from error
        return self._answered(call, parsed, body)

    def _answered(self, call: Call, parsed: dict[str, Any], body: BodyTaker) -> Observed:
        metadata = parsed.pop("ResponseMetadata", {})
        response = {}
        for name, value in parsed.items():
            if hasattr(value, "iter_chunks") or hasattr(value, "read"):
                self._drain(value, body)
            elif hasattr(value, "__iter__") and hasattr(value, "close"):
                response[name] = [_plain(event) for event in value]
            else:
                response[name] = _plain(value)
        if self._local.content:
            body.take(self._local.content)
        return Observed(
            metadata.get("HTTPStatusCode", 0),
            _headers(metadata),
            response=response,
            is_bodiless=call.name.startswith("Head"),
        )

    def _drain(self, stream: Any, body: BodyTaker) -> None:
        try:
            while piece := stream.read(_INLINE_BYTES):
                body.take(piece)
        except (self._botocore.exceptions.BotoCoreError, OSError) as error:
            raise ExchangeError(f"the body was cut after {body.size} bytes: {error}") from None
        finally:
            stream.close()

    def _refused(self, call: Call, response: dict[str, Any], body: BodyTaker) -> Observed:
        metadata = response.get("ResponseMetadata", {})
        error = response.get("Error", {})
        body.take(self._local.content)
        rest = {name: _plain(value) for name, value in response.items() if name != "ResponseMetadata"}
        status = self._local.status or metadata.get("HTTPStatusCode", 0)
        return Observed(
            status,
            _headers(metadata),
            str(error.get("Code", "")),
            str(error.get("Message", "")),
            rest,
            is_bodiless=call.name.startswith("Head") or status == 304,
        )

    def _client(self, credentials: Credentials | None, expires_s: int | None) -> Any:
        key = (credentials.access_key_id if credentials else "", expires_s is not None)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._new_client(credentials, is_presigning=expires_s is not None)
            return self._clients[key]

    def _new_client(self, credentials: Credentials | None, *, is_presigning: bool) -> Any:
        target = self._sender.target
        client = self._session.create_client(
            "s3",
            region_name=target.region,
            endpoint_url=target.endpoint.url,
            aws_access_key_id=credentials.access_key_id if credentials else None,
            aws_secret_access_key=credentials.secret_access_key if credentials else None,
            aws_session_token=credentials.session_token if credentials else None,
            verify=target.ca_file or True,
            config=self._config(is_signed=credentials is not None),
        )
        events = client.meta.events
        for event, handler in _implicit_handlers():
            events.unregister(event, handler)
        events.register("before-call.s3", _without_afterthoughts)
        # Names under localhost are in no DNS: botocore could not find them (RFC 6761).
        is_raw = is_presigning or is_localhost(target.endpoint.host)
        events.register("before-send.s3", self._send_raw if is_raw else self._note_sending)
        events.register("before-parse.s3", self._keep_status)
        events.register("after-call.s3", self._keep_content)
        return client

    def _config(self, *, is_signed: bool) -> Any:
        timeout_s = self._sender.target.timeout_s
        return self._botocore.client.Config(
            signature_version="s3v4" if is_signed else self._botocore.UNSIGNED,
            s3={"addressing_style": "path", "disable_s3_express_session_auth": True},
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=False,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            max_pool_connections=32,
            proxies={},
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
            inject_host_prefix=False,
        )

    def _keep_content(self, http_response: Any, model: Any, **_: Any) -> None:
        """Keep the bytes of an answer that botocore has read whole."""
        if http_response.status_code >= 300 or not model.has_streaming_output:
            self._local.content = http_response.content

    def _keep_status(self, response_dict: dict[str, Any], **rest: Any) -> None:
        """Keep the status as it came; botocore turns a 200 with an error inside into a 500."""
        self._local.status = response_dict["status_code"]
        self._botocore.handlers._handle_200_error(response_dict=response_dict, **rest)  # noqa: SLF001

    def _note_sending(self, **_: Any) -> None:
        self._local.is_sent = True

    def _send_raw(self, request: Any, **_: Any) -> Any:
        """Send in place of botocore, with the raw client; a presigned request to a URL that is signed here."""
        self._local.is_sent = True
        call: Call = self._local.call
        parts = urlsplit(request.url)
        headers = tuple(
            (_text(name), _text(value))
            for name, value in request.headers.items()
            if name.lower() not in _NOT_OF_THE_REQUEST
        )
        plain = Request(request.method, parts.path, parts.query, headers, _blob(request.body))
        if call.expires_s is None:
            ready = self._sender.completed(plain)
        else:
            assert call.credentials is not None
            query = parse_qsl(parts.query, keep_blank_values=True)
            ready = self._sender.presigned(
                replace(plain, raw_query=""), query, call.credentials, call.expires_s
            )
        body: _Raw = self._local.raw

        def take(piece: bytes) -> None:
            body.write(piece)

        answer = self._sender.exact(ready, sink=take)
        body.seek(0)
        return _as_botocore(self._botocore, request.url, answer, body)


def _session() -> Any:
    """Return a session that reads nothing of the user's: neither files nor variables."""
    import botocore.session  # noqa: PLC0415

    nowhere = (None, None, os.devnull, None)
    return botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nowhere,
            "credentials_file": nowhere,
            "ca_bundle": (None, None, None, None),
        }
    )


def _implicit_handlers() -> Iterator[tuple[str, Any]]:
    import botocore.handlers  # noqa: PLC0415

    for event, handler, *_ in botocore.handlers.BUILTIN_HANDLERS:
        if getattr(handler, "__name__", "") in _SWITCHED_OFF:
            yield event, handler


def _without_afterthoughts(params: dict[str, Any], **_: Any) -> None:
    """Tell botocore that this request was redirected already, and that no checksum is to be validated."""
    context = params["context"]
    context.setdefault("s3_redirect", {})["redirected"] = True
    context.get("checksum", {}).pop("response_algorithms", None)


def _check_members(shape: Any, value: Any, where: str) -> None:
    """Raise DefinitionError at a member that the shape does not have; types are left for S3 to judge."""
    kind = getattr(shape, "type_name", "structure")
    if kind == "structure" and isinstance(value, dict):
        members = shape.members if shape is not None else {}
        for name, each in value.items():
            if name not in members:
                raise DefinitionError(f"{where}: unknown member {name!r}")
            _check_members(members[name], each, f"{where}.{name}")
    elif kind == "list" and isinstance(value, list):
        for index, each in enumerate(value):
            _check_members(shape.member, each, f"{where}[{index}]")
    elif kind == "blob" and isinstance(value, dict) and not value.keys() & {"$data", "$base64"}:
        raise DefinitionError(f"{where} is {matchers.show(value)}; expected content")


def _shaped(shape: Any, value: Any, blob: Callable[[Any], Blob]) -> Any:
    kind = shape.type_name
    if kind == "blob":
        found = blob(value)
        return content.whole(found) if found.size <= _INLINE_BYTES else BlobFile(found)
    if kind == "structure" and isinstance(value, Mapping):
        return {name: _shaped(shape.members[name], each, blob) for name, each in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_shaped(shape.member, each, blob) for each in value]
    if kind == "map" and isinstance(value, Mapping):
        return {str(name): _shaped(shape.value, each, blob) for name, each in value.items()}
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _plain(value: Any) -> Any:
    """Return a parsed value as JSON has it: times in ISO 8601, bytes as text."""
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _headers(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {name: decoded_text(value) for name, value in metadata.get("HTTPHeaders", {}).items()}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value.encode().decode("latin-1")


def _blob(body: Any) -> Blob | None:
    if body is None:
        return None
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, (bytes, bytearray)):
        return content.Literal(bytes(body)) if body else None
    if isinstance(body, BlobFile):
        return body.blob
    return content.Literal(body.read())


class _Raw(tempfile.SpooledTemporaryFile[bytes]):
    """A body as botocore reads it; a large one is on disk."""

    def stream(self, amount: int = 1 << 16) -> Iterator[bytes]:
        while piece := self.read(amount):
            yield piece


def _as_botocore(botocore: Any, url: str, answer: Answer, body: _Raw) -> Any:
    headers = botocore.compat.HTTPHeaders()
    for name, value in answer.headers:
        headers[name] = value
    return botocore.awsrequest.AWSResponse(url, answer.status, headers, body)
