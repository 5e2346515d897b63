"""A whole server but for its sockets: bytes of one request in, the answer out, the store open to look at."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, fields
from typing import Any

from anys3.model import AccessKey, Bucket, Grant, Identity, Target
from anys3.protocol import authentication
from anys3.protocol.http import Answer, Content, Request
from anys3.server.application import Application, Service
from anys3.server.bodies import EMPTY, BufferedBody
from anys3.spec.errors import S3Error
from anys3.store.memory import MemoryStore
from anys3.wire.encoding import encode_error
from tests.rawclient import RawClient, Response

HOST = "s3.localhost"
DOMAINS = (b"s3.localhost",)
ROOT = AccessKey("AKIAROOT0000000000", "root/secret+of/the/harness+0000000000000", "root", is_root=True)
LOOP = asyncio.new_event_loop()


class Watched(Application):
    """The application, counting: each request is proven once, and nobody is anybody before."""

    calls: list[str]

    def _prove(self, *arguments: Any) -> tuple[Identity, authentication.Proof]:
        self.calls.append("asked")
        proven = super()._prove(*arguments)
        self.calls.append("proven")
        return proven


class World:
    """A store in memory, the application, and keys."""

    def __init__(self, *keys: AccessKey, clock: Any = None, service: Service | None = None) -> None:
        """Make the keys known, beside the root key."""
        self.store = MemoryStore()
        settings = service or Service(domains=DOMAINS, explains_signatures=True)
        options = {} if clock is None else {"clock": clock}
        self.app = Watched(self.store, settings, **options)
        self.app.log = logging.getLogger("tests.access")
        self.app.log.propagate = False
        self.app.log.setLevel(logging.CRITICAL + 1)
        self.app.calls = []
        for key in (ROOT, *keys):
            LOOP.run_until_complete(self.store.put_key(key))

    def client(self, key: AccessKey = ROOT) -> Client:
        """Return a client of this world with a key."""
        return Client(f"http://{HOST}:80", key.access_key_id, key.secret_access_key, world=self)

    def bucket(self, name: str, *, owner: str = "", is_public: bool = False) -> None:
        """Make a bucket, as the operator does."""
        LOOP.run_until_complete(
            self.store.create_bucket(Bucket(name, 0, 1_700_000_000_000, owner=owner, is_public=is_public))
        )

    def handle(self, request: Request) -> Answer:
        """Answer a request. An exception that is not S3's is the finder's."""
        self.app.calls.clear()
        return LOOP.run_until_complete(self.app.handle(request))

    def answer(self, data: bytes) -> tuple[Request, Answer]:
        """Read one well-framed request, and answer it."""
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip(b" \t")
            headers[name] = headers[name] + b"," + value if name in headers else value
        path, _, query = target.partition(b"?")
        content = BufferedBody(body) if body else EMPTY
        request = Request(method, target, path, query, headers, content, self.app.new_request_id())
        try:
            return request, self.handle(request)
        except S3Error as error:
            return request, encode_error(error, request)

    def dump(self) -> object:
        """Return all that the store holds, to be compared."""
        return plain(vars(self.store))


def plain(value: object) -> object:
    """Return a value that stays as it is when the store goes on."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(type(value), "__dataclass_fields__"):
        return [type(value).__name__, *(plain(getattr(value, one.name)) for one in fields(value))]  # type: ignore[arg-type]
    return value


@dataclass(slots=True)
class Client(RawClient):
    """The raw client, whose connection is a function call."""

    world: World | None = None

    def send(self, data: bytes, method: str = "GET") -> Response:
        """Send bytes and read one answer."""
        assert self.world is not None
        _, answer = self.world.answer(data)
        headers = {}
        for line in answer.headers.split(b"\r\n"):
            name, _, value = line.partition(b":")
            headers.setdefault(name.decode("latin-1").lower(), value.strip().decode("latin-1"))
        headers.pop("", None)
        has_body = method != "HEAD" and answer.status not in (204, 304)
        body = content_of(answer.body) if has_body else b""
        if not has_body and not isinstance(answer.body, bytes):
            answer.body.close()
        return Response(answer.status, headers, body, answer.headers)


def content_of(body: bytes | Content) -> bytes:
    """Return the bytes of an answer."""
    if isinstance(body, bytes):
        return body
    try:
        return b"".join(bytes(block) for block in body.blocks())
    finally:
        body.close()


__all__ = ["DOMAINS", "HOST", "LOOP", "ROOT", "Client", "Grant", "Target", "World"]
