"""One lane of load: requests on keys of its own, each answer held against a model of them."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tests.rawclient import UNSIGNED, RawClient, Response
from tests.torture.cluster.keys import Key, Value
from tests.torture.races.contents import body_of, etag_of
from tests.uploads import MIN_PART, document, multipart_etag

BUCKET = "load"
SMALL = (0, 40, 3_000, 60_000)
LARGE = (70_000, 300_000, 1_200_000)
PAGE = 3
PAUSE_S = 0.1
"""After an answer that is no success."""
SHUNNED_S = 2.0
"""How long a lane leaves a server alone that has not answered, as a load balancer would."""
READS = frozenset({"GET", "HEAD", "LIST"})


class Event(NamedTuple):
    """One request: when, of what kind, to which server, and what came of it."""

    begun_s: float
    ended_s: float
    kind: str
    server: int
    outcome: str
    """ok, 503, refused (no connection), lost (a connection that broke), silent (no answer in time), or wrong."""


@dataclass(slots=True)
class Claim:
    """What was answered to those who raced for one key."""

    winners: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refused: int = 0


class Ground(Protocol):
    """What lanes share."""

    clients: Sequence[RawClient]
    hit: Collection[int]
    events: list[Event]
    claims: dict[int, Claim]
    claim: int
    name: str
    lock: threading.Lock

    def complain(self, words: str) -> None:
        """Note an answer that must not be."""

    def claim_path(self, number: int) -> str:
        """Return the path of a claim."""


def value_of(answer: Response) -> Value:
    """Return what a GET has shown: the ETag, said by the body; None: nothing is there."""
    if answer.status == 404:
        return None
    if answer.status != 200:
        return f"status {answer.status}"
    etag = answer.headers["etag"].strip('"')
    label = answer.headers.get("x-amz-meta-digest")
    is_whole = label == hashlib.sha256(answer.body).hexdigest() if label else etag == etag_of(answer.body)
    return etag if is_whole else f"torn: {etag} with {len(answer.body)} bytes, {answer.body[:30]!r}"


WEIGHTS = {
    "put_small": 5,
    "put_large": 3,
    "get": 6,
    "head": 1,
    "list": 2,
    "list_prefixes": 1,
    "delete": 2,
    "put_if_match": 2,
    "put_if_none_match": 1,
    "race_for_claim": 2,
    "multipart": 0.5,
}


class Lane:
    """One client that waits for each answer before it asks again."""

    def __init__(self, load: Ground, number: int, home: int, chance: random.Random) -> None:
        self.load = load
        self.number = number
        self.prefix = f"{load.name}lane{number}/"
        self._home = home
        servers = list(range(len(load.clients)))
        # Who waits for a server that is cut off has no time for the others, which would look like a stall of theirs.
        self._known = servers if home in load.hit else [one for one in servers if one not in load.hit]
        self._random = chance
        self._labels = itertools.count(1)
        self._shunned: dict[int, float] = {}
        self.small = [self._key(f"small/{name}") for name in "abcde"]
        self.large = [self._key(f"large/{name}") for name in "abc"]
        self.joined = self._key("joined")

    def _key(self, name: str) -> Key:
        return Key(f"/{BUCKET}/{self.prefix}{name}")

    @property
    def keys(self) -> list[Key]:
        """All its keys."""
        return [*self.small, *self.large, self.joined]

    def run(self, over: threading.Event) -> None:
        """Ask until it is over."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        try:
            while not over.is_set():
                getattr(self, self._random.choices(names, weights)[0])()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a violation)
            self.load.complain(f"lane {self.number}: {type(error).__name__}: {error}")

    # --- asking --------------------------------------------------------------------------------------

    def _server(self) -> int:
        """Return the home most of the time, else another server; none that has just not answered."""
        now, known = time.monotonic(), self._known
        first = self._home if self._random.random() < 0.6 else self._random.choice(known)
        at = known.index(first)
        order = known[at:] + known[:at]
        return next((one for one in order if self._shunned.get(one, 0.0) <= now), first)

    def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        may_be: tuple[int, ...] = (200, 204),
    ) -> Response | None:
        """Send a request and return an answer of one of these statuses; None: its outcome is not known."""
        server = self._server()
        client = self.load.clients[server]
        begun, answer, outcome = time.monotonic(), None, "ok"
        try:
            answer = client.request(method, path, query, headers, body, payload_hash=UNSIGNED)
        except ConnectionRefusedError:
            outcome = "refused"
        except TimeoutError:
            outcome = "silent"
        except OSError:
            outcome = "lost"
        if answer is not None and answer.status not in may_be:
            outcome = "503" if answer.status == 503 and "retry-after" in answer.headers else "wrong"
        self.load.events.append(Event(begun, time.monotonic(), kind, server, outcome))
        if outcome == "ok":
            return answer
        if outcome == "wrong" and answer is not None:
            what = f"lane {self.number}, server {server}: {kind} {path} {headers or ''}"
            self.load.complain(
                f"{what}: {answer.status} {answer.headers.get('retry-after')} {answer.body[:200]!r}"
            )
        if outcome not in ("503", "wrong"):
            self._shunned[server] = time.monotonic() + SHUNNED_S
        time.sleep(PAUSE_S)
        return None

    def _see(self, key: Key, value: Value, what: str) -> None:
        if wrong := key.see(value):
            self.load.complain(f"lane {self.number}: {what}: {wrong}")

    # --- one key -------------------------------------------------------------------------------------

    def _new_body(self, sizes: tuple[int, ...]) -> bytes:
        return body_of(f"{self.load.name}l{self.number}w{next(self._labels)}", self._random.choice(sizes))

    def put_small(self) -> None:
        """PutObject of what lies in the index."""
        self._put(self._random.choice(self.small), self._new_body(SMALL))

    def put_large(self) -> None:
        """PutObject of what lies in a blob."""
        self._put(self._random.choice(self.large), self._new_body(LARGE))

    def _put(self, key: Key, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        conditional = headers is not None
        may_be = (200, 404, 412) if conditional and not key.is_certain else (200,)
        answer = self._ask("PUT", "PUT", key.path, (), headers, body, may_be=may_be)
        if answer is None:
            key.doubt(etag_of(body))
        elif answer.status == 200:
            key.acknowledge(etag_of(body))

    def put_if_match(self) -> None:
        """PutObject if nothing has changed, which is so: nobody else writes."""
        key = self._random.choice([*self.small, *self.large])
        if key.certain is not None:
            sizes = SMALL if key in self.small else LARGE
            self._put(key, self._new_body(sizes), {"if-match": f'"{key.certain}"'})

    def put_if_none_match(self) -> None:
        """PutObject if nothing is there: it depends on what is."""
        key = self._random.choice(self.small)
        if not key.is_certain:
            return
        body = self._new_body(SMALL)
        may_be = (200,) if key.certain is None else (412,)
        answer = self._ask("PUT", "PUT", key.path, (), {"if-none-match": "*"}, body, may_be=may_be)
        if key.certain is None:
            key.doubt(etag_of(body)) if answer is None else key.acknowledge(etag_of(body))

    def delete(self) -> None:
        """DeleteObject."""
        key = self._random.choice(self.keys)
        answer = self._ask("DELETE", "DELETE", key.path, may_be=(204,))
        key.doubt(None) if answer is None else key.acknowledge(None)

    def get(self, key: Key | None = None) -> None:
        """GetObject, also of what is not there."""
        key = key or self._random.choice(self.keys)
        answer = self._ask("GET", "GET", key.path, may_be=(200, 404))
        if answer is not None:
            self._see(key, value_of(answer), "GET")

    def head(self) -> None:
        """HeadObject."""
        key = self._random.choice(self.keys)
        answer = self._ask("HEAD", "HEAD", key.path, may_be=(200, 404))
        if answer is not None:
            value = answer.headers["etag"].strip('"') if answer.status == 200 else None
            self._see(key, value, "HEAD")

    # --- listings ------------------------------------------------------------------------------------

    def list(self) -> None:
        """ListObjectsV2 of its keys, in small pages or in one."""
        size = self._random.choice((PAGE, 1000))
        found: dict[str, Value] = {}
        token: list[tuple[str, str]] = []
        while True:
            query = [("list-type", "2"), ("prefix", self.prefix), ("max-keys", str(size)), *token]
            answer = self._ask("LIST", "GET", f"/{BUCKET}", query, may_be=(200,))
            if answer is None:
                return
            found |= rows_of(answer)
            if answer.text("IsTruncated") != "true":
                break
            token = [("continuation-token", answer.text("NextContinuationToken") or "")]
        self._judge(found, "LIST")

    def _judge(self, found: Mapping[str, Value], what: str) -> None:
        for key in self.keys:
            self._see(key, found.get(key.path), what)
        if strangers := set(found) - {key.path for key in self.keys}:
            self.load.complain(f"lane {self.number}: {what} shows {strangers}")

    def check_listing(self, server: int, client: RawClient) -> None:
        """Compare the whole listing of a server with the model, after all."""
        answer = client.request("GET", f"/{BUCKET}", [("list-type", "2"), ("prefix", self.prefix)])
        if answer.status != 200:
            self.load.complain(f"after all, server {server} answers a listing with {answer.verdict}")
            return
        self._judge(rows_of(answer), f"after all, LIST of server {server}")

    def list_prefixes(self) -> None:
        """ListObjectsV2 with a delimiter: its groups of keys."""
        query = [("list-type", "2"), ("prefix", self.prefix), ("delimiter", "/")]
        answer = self._ask("LIST", "GET", f"/{BUCKET}", query, may_be=(200,))
        if answer is None or not all(key.is_certain for key in self.keys):
            return
        groups = {"large/": self.large, "small/": self.small}
        here = [name for name, keys in groups.items() if any(key.certain is not None for key in keys)]
        found = answer.texts("CommonPrefixes/Prefix")
        if found != [self.prefix + name for name in here]:
            self.load.complain(f"lane {self.number}: the common prefixes are {found}, not {here}")
        self._see(self.joined, rows_of(answer).get(self.joined.path), "LIST with a delimiter")

    # --- claims and uploads --------------------------------------------------------------------------

    def race_for_claim(self) -> None:
        """PutObject with If-None-Match of the key for which the other lanes race, too."""
        load, label = self.load, f"{self.number}-{next(self._labels)}"
        with load.lock:
            number = load.claim
        path = load.claim_path(number)
        headers = {"if-none-match": "*"}
        answer = self._ask("PUT", "PUT", path, (), headers, label.encode(), may_be=(200, 412))
        with load.lock:
            claim = load.claims[number]
            if answer is None:
                claim.unknown.append(label)
                return
            if answer.status == 200:
                claim.winners.append(label)
            else:
                claim.refused += 1
            if load.claim == number:
                load.claim += 1
                load.claims[load.claim] = Claim()

    def multipart(self) -> None:
        """CreateMultipartUpload, UploadPart, CompleteMultipartUpload, which is asked again until it is answered."""
        key = self.joined
        bodies = [self._new_body(LARGE)]
        if self._random.random() < 0.2:
            bodies.insert(0, self._new_body((MIN_PART,)))
        digest = hashlib.sha256(b"".join(bodies)).hexdigest()
        headers = {"x-amz-meta-digest": digest}
        begun = self._ask("POST", "POST", key.path, [("uploads", "")], headers)
        if begun is None:
            return
        upload = ("uploadId", begun.text("UploadId") or "")
        parts = []
        for number, body in enumerate(bodies, 1):
            answer = self._ask("PUT", "PUT", key.path, [("partNumber", str(number)), upload], {}, body)
            if answer is None:
                return
            parts.append((number, answer.headers["etag"]))
        etag = multipart_etag(bodies).strip('"')
        for _ in range(20):
            answer = self._ask("POST", "POST", key.path, [upload], {}, document(parts))
            if answer is not None:
                key.acknowledge(etag)
                return
            if etag not in key.pending:
                key.doubt(etag)


class Witness(Lane):
    """Writes by the other servers what it then reads by a server that was hit: a cut-off one must not know better."""

    def __init__(self, load: Ground, number: int, hit: int, chance: random.Random) -> None:
        super().__init__(load, number, hit, chance)
        self._asked = hit

    def _server(self) -> int:
        return self._asked

    def run(self, over: threading.Event) -> None:
        """Ask until it is over."""
        others = [one for one in range(len(self.load.clients)) if one not in self.load.hit]
        while not over.is_set():
            key = self._random.choice(self.small)
            self._asked = self._random.choice(others)
            self._put(key, self._new_body(SMALL))
            self._asked = self._home
            self.get(key)


def rows_of(answer: Response) -> dict[str, Value]:
    etags = [etag.strip('"') for etag in answer.texts("Contents/ETag")]
    return dict(zip((f"/{BUCKET}/{key}" for key in answer.texts("Contents/Key")), etags, strict=True))
