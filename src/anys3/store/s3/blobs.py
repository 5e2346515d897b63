"""Blobs in a bucket of an S3 provider; see anys3.store.blobs.Blobs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import logging
import re
from collections.abc import Iterator, Sequence

from anys3.protocol import xml
from anys3.spec.errors import S3Error
from anys3.store.blobs import BlobMissing
from anys3.store.errors import StoreError, Unavailable
from anys3.store.figures import Figure
from anys3.store.s3 import listing, refusals, writing
from anys3.store.s3.address import Address
from anys3.store.s3.counts import Counts
from anys3.store.s3.reading import Reader
from anys3.store.s3.requests import Request, Requester, Surroundings

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[0-9a-z-]{1,64}")
_BATCH = 1000
_IMPATIENCE_S = 3.0


class S3Blobs:
    """Blobs as objects `PREFIX/NAME` of one bucket."""

    def __init__(self, address: Address, around: Surroundings) -> None:
        """Nothing is sent yet. Raises NoCredentials."""
        self._address = address
        self._around = around
        self._requester = Requester(address, around)
        self._beside = writing.Beside()
        self._is_closed = False
        self._checked = self.counts()

    def sink(self, name: str, length: int | None) -> writing.Sink:  # noqa: ARG002 -- it shows as it comes
        """Return what takes the bytes of a new blob."""
        return writing.Sink(self._requester, self._beside, self._key(name), self._address.part_bytes)

    def reader(self, name: str, start: int, length: int) -> Reader:
        """Return a reader of `length` bytes from `start` on."""
        return Reader(self._requester, self._key(name), start, length)

    def remove(self, names: Sequence[str]) -> None:
        """Remove blobs and their unfinished uploads; absent ones are no error. Raises Unavailable."""
        for at in range(0, len(names), _BATCH):
            batch = [self._key(name) for name in names[at : at + _BATCH]]
            # First: an upload that is being completed meanwhile is an object after this, and goes with the others.
            wanted = set(batch)
            for upload in listing.unfinished(self._requester, _shared(batch)):
                if upload.key in wanted:
                    self._abort(upload)
            self._delete(batch)

    def names(self) -> Iterator[str]:
        """Yield the names of all blobs, those that are being written too. Raises Unavailable."""
        # First: what is completed meanwhile is found among the objects.
        uploads = {upload.key for upload in listing.unfinished(self._requester, self._address.prefix)}
        yield from filter(_NAME.fullmatch, map(self._name, sorted(uploads)))
        for key in listing.keys(self._requester, self._address.prefix):
            if key not in uploads and _NAME.fullmatch(self._name(key)):
                yield self._name(key)

    def check(self) -> None:
        """Write, read, list and remove a blob, in one piece and in parts. Raises Unavailable."""
        # What a wrong setting does is told at once, and by an answer that says why.
        query = (("list-type", "2"), ("max-keys", "1"), ("prefix", self._address.prefix))
        answer = self._requester.ask(Request("ListObjectsV2", "GET", query=query), patience_s=_IMPATIENCE_S)
        if answer.status != 200:
            raise refusals.error(answer, f"{self._requester.where}: ListObjectsV2")
        probe = f"check-{int(self._around.chance() * 2**52):013x}"
        self._check_blob(probe)
        self._check_blob(f"{probe}-parts", in_parts=True)
        self._check_discard(f"{probe}-none")
        self._checked = self.counts()

    def counts(self) -> Counts:
        """Return what was asked of the provider until now."""
        return self._requester.meter.counts()

    def figures(self) -> Sequence[Figure]:
        """Return what was asked of the provider until now, and whether it answers."""
        about = "0 while requests to the blobs' S3 provider fail at once, as it has not answered; else 1."
        is_up = not self._requester.circuit.is_open
        return [Figure("anys3_s3_up", about, is_up, over="least"), *self.counts().figures()]

    def close(self) -> None:
        """Let go of connections and threads. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._requester.stop()
        self._beside.close()
        self._requester.pool.close()
        if (counts := self.counts()) != self._checked:
            _log.info("%s: %s", self._requester.where, counts)

    def _key(self, name: str) -> str:
        return f"{self._address.prefix}{name}"

    def _name(self, key: str) -> str:
        return key.removeprefix(self._address.prefix)

    def _abort(self, upload: listing.Unfinished) -> None:
        answer = self._requester.ask(writing.abort(upload.key, upload.upload_id))
        if answer.status not in (200, 204) and refusals.code(answer) != "NoSuchUpload":
            raise refusals.error(answer, f"AbortMultipartUpload of {upload.key}")

    def _delete(self, keys: Sequence[str]) -> None:
        rows = "".join(f"<Object><Key>{xml.escape(key)}</Key></Object>" for key in keys)
        body = f'<Delete xmlns="{writing.NAMESPACE}"><Quiet>true</Quiet>{rows}</Delete>'.encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = self._requester.ask(
            Request(
                "DeleteObjects", "POST",
                query=(("delete", ""),),
                headers=(("content-md5", digest),),
                body=body,
                payload_hash=hashlib.sha256(body).hexdigest(),
            )
        )  # fmt: skip
        if answer.status != 200:
            raise refusals.error(answer, f"{self._requester.where}: DeleteObjects")
        try:
            failed = xml.parse(answer.body, "DeleteResult").all("Error")
        except S3Error:
            raise Unavailable(
                f"{self._requester.where}: DeleteObjects was answered with no DeleteResult"
            ) from None
        for row in failed:
            if row.text_of("Code") != "NoSuchKey":
                raise Unavailable(
                    f"{self._requester.where}: {row.text_of('Key')} was not deleted: {row.text_of('Code')}"
                )

    def _check_blob(self, name: str, *, in_parts: bool = False) -> None:
        body = name.encode() * 8
        sink = self.sink(name, len(body))
        with self._removing(name):
            if in_parts and not sink.begin_upload():
                return
            sink.write(body)
            self._look_for(name, is_there=in_parts)
            sink.finish()
            self._compare(name, body)
            self._look_for(name, is_there=True)

    def _check_discard(self, name: str) -> None:
        """Begin a blob in parts that is discarded. Raises Unavailable: something of it stays."""
        sink = self.sink(name, None)
        with self._removing(name):
            sink.begin_upload()
            sink.discard()
            self._look_for(name, is_there=False)

    def _look_for(self, name: str, *, is_there: bool) -> None:
        key = self._key(name)  # and no other: there may be millions
        uploads = (upload.key for upload in listing.unfinished(self._requester, key))
        if (key in itertools.chain(uploads, listing.keys(self._requester, key))) != is_there:
            said = "is not listed, though it is there" if is_there else "is listed, though it is not there"
            raise Unavailable(f"{self._requester.where}: {key} {said}")

    @contextlib.contextmanager
    def _removing(self, name: str) -> Iterator[None]:
        """Remove a blob at the end. Raises Unavailable, unless there is something worse to tell."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreError):
                self.remove([name])
            raise
        self.remove([name])

    def _compare(self, name: str, body: bytes) -> None:
        """Read a blob and a range of it back. Raises Unavailable: it is not what was written."""
        for start, end in ((0, len(body)), (7, 11)):
            found = memoryview(bytearray(end - start))
            reader = self.reader(name, start, end - start)
            try:
                reader.read_into(found)
            except BlobMissing as error:
                raise Unavailable(
                    f"{self._requester.where}: what was written is not there: {error}"
                ) from None
            finally:
                reader.close()
            if found != body[start:end]:
                raise Unavailable(f"{self._requester.where}: what was written came back changed")


def _shared(keys: Sequence[str]) -> str:
    """Return what all keys begin with: one page of uploads then holds those of all of them."""
    first, last = min(keys), max(keys)
    return first[
        : next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    ]
