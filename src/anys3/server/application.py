"""The straight line from a request to its answer. Authentication is written once, above routing."""

from __future__ import annotations

import itertools
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anys3.model import ANONYMOUS, AccessKey, Bucket, Identity, Target
from anys3.operations import HANDLERS
from anys3.operations.bucket_cors import rules_of
from anys3.operations.call import Call, may
from anys3.protocol import addressing, authentication, cors, diagnosis, names, payload, queries
from anys3.server import damage, forms, strictness
from anys3.server.allowance import Allowance
from anys3.server.audit import requester
from anys3.spec import catalogue
from anys3.spec.errors import S3Error
from anys3.store.errors import Corrupt, NoSuchBucket, StoreError
from anys3.wire import binding, encoding
from anys3.wire.routing import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anys3.protocol.http import Answer, Request
    from anys3.server.audit import Audit
    from anys3.spec.catalogue import Operation
    from anys3.store.interface import Store

MAX_BUCKET_NAME = 63
MAX_CACHED = 10_000
"""Most rows of keys and of buckets that are remembered between requests."""
EXPLANATIONS, EXPLANATIONS_A_S = 50, 5.0
"""How many wrong signatures are explained at once, and each second after that: each takes some fifty HMACs."""
_AUDITED = frozenset(
    name
    for name, each in catalogue.operations().items()
    if each.permission in {"owner", "create-bucket"} and each.method != "GET"
)
"""Operations that change buckets and their settings."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the operator chose: region, names, and how much of the catalogue is served."""

    region: str = "us-east-1"
    domains: tuple[bytes, ...] = ()
    allow_sigv2: bool = True
    profiles: frozenset[str] | None = None
    """The profiles served; None: all."""
    annex: frozenset[str] | None = None
    """The annex calls served; None: all."""
    explains_signatures: bool = False
    """Whether the error answer, too, says why a signature does not match: on loopback only."""


class Application:
    """Answers S3 requests from a store. One for each worker process."""

    def __init__(
        self,
        store: Store,
        service: Service,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        audit: Audit | None = None,
    ) -> None:
        """Answer from `store`, as `service` says; changes of buckets and their settings go to `audit`."""
        self.store = store
        self.service = service
        self.log = logging.getLogger("anys3.server")
        self._clock = clock
        self._random = random
        self._audit = audit
        self._explanations = Allowance(EXPLANATIONS, EXPLANATIONS_A_S)
        self._realm = authentication.Realm(service.region, service.allow_sigv2)
        self._router = Router(service.profiles, service.annex)
        self._generation = -1
        self._keys: dict[str, AccessKey] = {}
        self._buckets: dict[str, Bucket] = {}
        self._id_prefix = random(4).hex().upper()
        self._id_numbers = itertools.count(1)

    def new_request_id(self) -> str:
        """Return an id that no other request of any worker has (HTTP-05)."""
        return f"{self._id_prefix}{next(self._id_numbers):08X}"

    async def handle(self, request: Request) -> Answer:
        """Answer one S3 request."""
        try:
            self._forget_outdated()
            answer = await self._answer(request)
        except S3Error as error:
            answer = self._refuse(request, error)
        except Corrupt as failure:
            damage.note(self.log, request, failure, "-> 500 InternalError")
            answer = encoding.encode_error(S3Error("InternalError"), request)
        except StoreError as failure:
            answer = self._refuse(request, _unavailable(failure))
        if b"origin" in request.headers:
            await self._allow_origin(request, answer)
        return answer

    async def _answer(self, request: Request) -> Answer:
        target = addressing.parse(request.path, request.headers.get(b"host", b""), self.service.domains)
        query = queries.parse(request.query)
        now = self._clock()
        is_form = forms.is_post_form(request, target)
        if self.service.profiles is not None:
            strictness.check_way_in(self.service.profiles, request.method, target, query, is_form=is_form)
        form = await forms.open_form(request, target) if is_form else None
        claim = authentication.read(request, query) if form is None else authentication.read_form(form.fields)
        key = None
        if claim.access_key_id is not None:
            key = self._keys.get(claim.access_key_id) or await self.find_key(claim.access_key_id)
        identity, proof = self._prove(request, claim, key, target, now)
        if proof.signed_query_headers:
            request.headers.update(proof.signed_query_headers)
        operation = self._router.resolve(request.method, target, query, request.headers)
        request.operation = operation.name
        bucket = None
        if target.bucket is not None:
            bucket = self._buckets.get(target.bucket)
            if bucket is None:  # the name of a known one was checked
                names.check_bucket_name(target.bucket, is_new=False)
                bucket = await self.find_bucket(target.bucket)
        if operation.body == "form":
            target, form = forms.check_form(request, form, target, int(now))
        if target.key is not None:
            names.check_key(target.key)
        row = _authorize(identity, operation, target, bucket)
        plan = payload.plan(_payload_headers(operation, request), proof, operation.body != "none")
        want = binding.bind(operation, request, query)
        call = Call(
            request,
            target,
            identity,
            self.store,
            plan,
            int(now * 1000),
            self.service.region,
            self._random,
            self.find_bucket,
            row,
            form,
            int(now * 1_000_000),
        )
        output = await HANDLERS[operation.name](call, want)
        if operation.name in _AUDITED and self._audit is not None:
            assert identity.key is not None
            who = requester(identity.key.access_key_id, request.id)
            self._audit.note(who, operation.name, target.bucket or "")
        return encoding.encode(operation, output)

    def _prove(
        self,
        request: Request,
        claim: authentication.Claim,
        key: AccessKey | None,
        target: Target,
        now: float,
    ) -> tuple[Identity, authentication.Proof]:
        """Verify who sent the request. The only way to an identity, for every way of authenticating."""
        try:
            proof = claim.prove(request, key, self._realm, int(now), resource=_v2_resource(request, target))
        except S3Error as error:
            if error.code == "SignatureDoesNotMatch" and key is not None:
                self._explain(error, request, claim, key, now)
            raise
        return (ANONYMOUS if claim.access_key_id is None else Identity(key)), proof

    def _explain(
        self, error: S3Error, request: Request, claim: authentication.Claim, key: AccessKey, now: float
    ) -> None:
        """Say in the log, and in the answer where that is wanted, why a signature does not match."""
        if not self._explanations.take(now):
            error.log = "not explained: there are too many wrong signatures"
            return
        reason = diagnosis.explain(request, claim, key, self._realm)
        error.log = reason or "no known cause: most likely the secret key differs"
        if reason and self.service.explains_signatures:
            error.message = f"{error.message} {reason}"

    async def find_key(self, access_key_id: str) -> AccessKey | None:
        """Return an access key, as it was when the request came or later."""
        cache = self._keys
        key = cache.get(access_key_id)
        if key is None:
            key = await self.store.key(access_key_id)
            if key is not None and len(cache) < MAX_CACHED:
                cache[access_key_id] = key
        return key

    async def find_bucket(self, name: str) -> Bucket | None:
        """Return a bucket's row, as it was when the request came or later; None for what is no name of one."""
        cache = self._buckets
        bucket = cache.get(name)
        if bucket is None and len(name) <= MAX_BUCKET_NAME:
            bucket = await self.store.bucket(name)
            if bucket is not None and len(cache) < MAX_CACHED:
                cache[name] = bucket
        return bucket

    def _forget_outdated(self) -> None:
        # The number is read before the rows, and rows go into the dictionary that was there when they were
        # asked for: what changes in between is looked up again by the next request.
        generation = self.store.generation()
        if generation != self._generation:
            self._keys = {}
            self._buckets = {}
            self._generation = generation

    def _refuse(self, request: Request, error: S3Error) -> Answer:
        level = logging.ERROR if error.status >= 500 and error.code != "NotImplemented" else logging.INFO
        self.log.log(
            level,
            "%s %s %s -> %d %s%s",
            request.id,
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            error.status,
            error.code,
            f" ({error.log})" if error.log else "",
        )
        return encoding.encode_error(error, request)

    async def _allow_origin(self, request: Request, answer: Answer) -> None:
        """Add CORS headers to an actual request's answer, success or error (CORS-07)."""
        if request.method == b"OPTIONS":
            return
        try:
            target = addressing.parse(request.path, request.headers.get(b"host", b""), self.service.domains)
            bucket = await self.find_bucket(target.bucket) if target.bucket is not None else None
        except (S3Error, StoreError):
            return
        rules = rules_of(bucket)
        if rules:
            answer.headers += cors.actual(rules, request.headers[b"origin"], request.method)


def _authorize(
    identity: Identity, operation: Operation, target: Target, bucket: Bucket | None
) -> Bucket | None:
    """Return the bucket's row, None if there is or shall be none, if the caller may do this there.

    Raises S3Error AccessDenied (AUTH-12, AUTH-17), NoSuchBucket (ERR-02). A caller without a valid
    signature learns nothing of what exists (ERR-04).
    """
    permission = operation.permission
    if permission == "none":
        return bucket
    key = identity.key
    if key is None:
        if bucket is not None and bucket.is_public and operation.anonymous == "public":
            return bucket
        raise S3Error("AccessDenied", log="anonymous")
    if permission == "list-buckets":
        return None
    if permission == "create-bucket":
        if key.is_root or key.may_create_buckets:
            return None
        raise S3Error("AccessDenied", log="the key was not made with --create-buckets")
    if bucket is None:
        raise S3Error("NoSuchBucket", BucketName=target.bucket or "")
    if not may(key, bucket, permission):
        raise S3Error("AccessDenied", log=f"the key has no {permission} grant on {bucket.name!r}")
    return bucket


def _payload_headers(operation: Operation, request: Request) -> Mapping[bytes, bytes]:
    """Return the headers that speak of the body; at completion a checksum speaks of the object (CPL-15)."""
    if operation.name != "CompleteMultipartUpload":
        return request.headers
    return {name: value for name, value in request.headers.items() if not name.startswith(b"x-amz-checksum-")}


def _v2_resource(request: Request, target: Target) -> bytes | None:
    """Return the path that SigV2 signs where it differs from the one sent (virtual-host addressing)."""
    if target.is_virtual_host and target.bucket is not None:
        return b"/" + target.bucket.encode() + request.path
    return None


def _unavailable(failure: StoreError) -> S3Error:
    """Return what a failing engine means to the client: never a 2xx, never a 404 (ERR-06).

    But a bucket that went while its request was under way is gone, whichever step finds out (DB-06).
    """
    if isinstance(failure, NoSuchBucket):
        return S3Error("NoSuchBucket", BucketName=str(failure))
    return S3Error("ServiceUnavailable", log=f"{type(failure).__name__}: {failure}")
