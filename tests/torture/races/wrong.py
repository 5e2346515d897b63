"""Histories that no server may produce, each with its name; and beside each, where it is close, one it may.

Times are small numbers. The checker has to refuse every one of `WRONG` and to accept every one of `RIGHT`.
"""

from __future__ import annotations

from tests.torture.races.checker import Model
from tests.torture.races.history import Operation, Value
from tests.torture.races.models import Bucket, Key, Upload, Version

OLD = Version("old", "w0")
History = tuple[Model, list[Operation]]


def op(
    client: str,
    begin: int,
    end: int | None,
    name: str,
    *given: Value,
    outcome: str = "ok",
    seen: Value = None,
) -> Operation:
    """Return an operation of a history that is written by hand."""
    return Operation(client, "s", name, given, outcome, seen, begin, end)


def put(
    client: str, begin: int, end: int, body: str, if_match: str | None = None, **more: Value
) -> Operation:
    """Return a PUT; its metadata is named as its body."""
    return op(client, begin, end, "put", body, body, False, if_match, "", **more)


def create(client: str, begin: int, end: int, body: str, **more: Value) -> Operation:
    """Return a PUT with If-None-Match: *."""
    return op(client, begin, end, "put", body, body, True, None, "", **more)


def get(client: str, begin: int, end: int, body: str | None, tags: str = "", name: str = "get") -> Operation:
    """Return a read that saw a body, or nothing."""
    if body is None:
        return op(client, begin, end, name, outcome="NoSuchKey")
    return op(client, begin, end, name, seen=(body, "w0" if body == "old" else body, tags))


def complete(client: str, begin: int, end: int | None, upload: str = "u", **more: Value) -> Operation:
    """Return a CompleteMultipartUpload."""
    return op(client, begin, end, "complete", upload, upload, upload, False, "", **more)


_NO = "PreconditionFailed"
_KEYS: dict[str, tuple[Version | None, list[Operation]]] = {
    "a stale read after an acknowledged write": (OLD, [put("a", 0, 1, "x"), get("b", 2, 3, "old")]),
    "an absent key after an acknowledged write": (None, [put("a", 0, 1, "x"), get("b", 2, 3, None)]),
    "a read of a value that was never written": (OLD, [put("a", 0, 1, "x"), get("b", 0, 3, "y")]),
    "a read of one write's body with another's metadata": (
        OLD,
        [put("a", 0, 5, "x"), op("b", 0, 5, "get", seen=("x", "w0", ""))],
    ),
    "a deleted object comes back": (OLD, [op("a", 0, 1, "delete", None), get("b", 2, 3, "old")]),
    "a deleted object comes back under another reader": (
        OLD,
        [op("a", 0, 9, "delete", None), get("b", 1, 2, None), get("c", 3, 4, "old")],
    ),
    "two winners of If-None-Match: *": (None, [create("a", 0, 5, "x"), create("b", 0, 5, "y")]),
    "no winner of If-None-Match: *": (
        None,
        [create("a", 0, 5, "x", outcome=_NO), create("b", 0, 5, "y", outcome=_NO)],
    ),
    "two winners of If-Match on one ETag": (OLD, [put("a", 0, 5, "x", "old"), put("b", 0, 5, "y", "old")]),
    "a lost update: a write that was matched is overwritten by a match of its forerunner": (
        OLD,
        [put("a", 0, 1, "x", "old"), put("b", 2, 3, "y", "old"), get("c", 4, 5, "y")],
    ),
    "a lost update: both writes were acknowledged, neither is there": (
        OLD,
        [put("a", 0, 5, "x"), put("b", 0, 5, "y"), get("c", 6, 7, "old")],
    ),
    "an If-Match that fails although its ETag was there all the time": (
        OLD,
        [put("a", 0, 1, "x", "old", outcome=_NO), get("b", 2, 3, "old")],
    ),
    "a reader sees the new value, then the old one": (
        OLD,
        [put("a", 0, 9, "x"), get("b", 1, 2, "x"), get("b", 3, 4, "old")],
    ),
    "one reader sees the new value, a later one the old": (
        OLD,
        [put("a", 0, 9, "x"), get("b", 1, 2, "x"), get("c", 3, 4, "old")],
    ),
    "HEAD sees the new value, a later GET the old": (
        OLD,
        [put("a", 0, 9, "x"), get("b", 1, 2, "x", name="head"), get("c", 3, 4, "old")],
    ),
    "two readers see two writes in different orders": (
        OLD,
        [
            *(put("a", 0, 9, "x"), put("b", 0, 9, "y")),
            *(get("c", 1, 2, "x"), get("c", 3, 4, "y")),
            *(get("d", 1, 2, "y"), get("d", 3, 4, "x")),
        ],
    ),
    "an unanswered write is seen before it was sent": (
        OLD,
        [get("b", 0, 1, "x"), op("a", 2, None, "put", "x", "x", False, None, "", outcome="unknown")],
    ),
    "an unanswered write happens twice": (
        OLD,
        [
            op("a", 0, None, "put", "x", "x", False, None, "", outcome="unknown"),
            *(get("b", 1, 2, "x"), put("b", 3, 4, "y"), get("b", 5, 6, "y"), get("b", 7, 8, "x")),
        ],
    ),
    "an unanswered write happens, and is undone": (
        OLD,
        [
            op("a", 0, None, "put", "x", "x", False, None, "", outcome="unknown"),
            *(get("b", 1, 2, "x"), get("b", 3, 4, "old")),
        ],
    ),
    "an unanswered conditional write happens against its condition": (
        OLD,
        [
            op("a", 0, None, "put", "x", "x", True, None, "", outcome="unknown"),
            get("b", 1, 2, "x"),
        ],
    ),
    "a conditional delete succeeds twice": (
        OLD,
        [op("a", 0, 5, "delete", "old"), op("b", 0, 5, "delete", "old")],
    ),
    "tags land on another object's content": (
        OLD,
        [put("a", 0, 1, "x"), op("b", 2, 3, "tag", "t"), op("c", 4, 5, "get", seen=("x", "w0", "t"))],
    ),
    "tags that were set are gone": (OLD, [op("a", 0, 1, "tag", "t"), get("b", 2, 3, "old")]),
    "an object lost its tags by being tagged while it was replaced": (
        OLD,
        [put("a", 0, 1, "x"), op("b", 0, 5, "tag", "t"), op("c", 6, 7, "get", seen=("old", "w0", "t"))],
    ),
    "Complete and Abort both succeed": (None, [complete("a", 0, 5), op("b", 0, 5, "abort", "u")]),
    "a completion repeated after an overwrite brings the object back": (
        None,
        [
            complete("a", 0, 1),
            put("b", 2, 3, "x"),
            complete("a", 4, 5, outcome="NoSuchUpload"),
            get("c", 6, 7, "u"),
        ],
    ),
    "a completion succeeds again though its object was replaced": (
        None,
        [complete("a", 0, 1), put("b", 2, 3, "x"), complete("a", 4, 5)],
    ),
}

_UPLOADS: dict[str, list[Operation]] = {
    "two completions with different parts both succeed": [
        *(op("a", 0, 1, "part", 1, "p"), op("a", 2, 3, "part", 2, "q")),
        *(op("a", 4, 9, "complete", ((1, "p"),)), op("b", 4, 9, "complete", ((1, "p"), (2, "q")))),
    ],
    "a part is taken after the upload was completed": [
        *(
            op("a", 0, 1, "part", 1, "p"),
            op("a", 2, 3, "complete", ((1, "p"),)),
            op("b", 4, 5, "part", 1, "q"),
        ),
    ],
    "an upload is completed after it was aborted": [
        *(op("a", 0, 1, "part", 1, "p"), op("b", 2, 3, "abort"), op("a", 4, 5, "complete", ((1, "p"),))),
    ],
    "an object is there after its upload was aborted": [
        *(op("a", 0, 1, "part", 1, "p"), op("b", 2, 3, "abort"), op("a", 4, 5, "get", seen=("p",))),
    ],
    "an acknowledged part is not listed": [op("a", 0, 1, "part", 1, "p"), op("b", 2, 3, "parts", seen=())],
    "a completion is refused though all its parts are there": [
        *(op("a", 0, 1, "part", 1, "p"), op("b", 2, 9, "part", 1, "p")),
        op("a", 2, 9, "complete", ((1, "p"),), outcome="InvalidPart"),
    ],
    "the object is made of a part that was replaced before": [
        *(
            op("a", 0, 1, "part", 1, "p"),
            op("a", 2, 3, "part", 1, "q"),
            op("a", 4, 5, "complete", ((1, "p"),)),
        ),
    ],
}

_BUCKETS: dict[str, list[Operation]] = {
    "an acknowledged PUT vanishes with its bucket": [op("a", 0, 5, "put", "k"), op("b", 0, 5, "delete")],
    "a bucket is deleted though it holds an object": [op("a", 0, 1, "put", "k"), op("b", 2, 3, "delete")],
    "a bucket that was deleted takes a write": [op("a", 0, 1, "delete"), op("b", 2, 3, "put", "k")],
    "a bucket that was deleted still answers": [op("a", 0, 1, "delete"), op("b", 2, 3, "head")],
    "a bucket made anew holds an old key": [
        *(op("a", 0, 1, "put", "k"), op("a", 2, 3, "remove", "k"), op("a", 4, 5, "delete")),
        *(op("a", 6, 7, "create"), op("b", 8, 9, "list", seen=("k",))),
    ],
    "a bucket made anew holds an old upload": [
        *(op("a", 0, 1, "begin", "u"), op("a", 2, 3, "delete"), op("a", 4, 5, "create")),
        op("b", 6, 7, "part", "u"),
    ],
    "two clients both make the bucket": [
        *(op("a", 0, 1, "delete"), op("a", 2, 5, "create"), op("b", 2, 5, "create")),
    ],
    "a key that was written is not listed": [op("a", 0, 1, "put", "k"), op("b", 2, 3, "list", seen=())],
    "a key that was removed is listed": [
        *(op("a", 0, 1, "put", "k"), op("a", 2, 3, "remove", "k"), op("b", 4, 5, "list", seen=("k",))),
    ],
    "an empty bucket is refused as not empty": [op("a", 0, 1, "delete", outcome="BucketNotEmpty")],
    "a worker answers with a CORS rule that was replaced": [
        *(op("a", 0, 1, "set_cors", "r1"), op("a", 2, 3, "set_cors", "r2"), op("b", 4, 5, "cors", seen="r1")),
    ],
}

WRONG: dict[str, History] = {
    **{name: (Key(first), operations) for name, (first, operations) in _KEYS.items()},
    **{name: (Upload(), operations) for name, operations in _UPLOADS.items()},
    **{name: (Bucket(), operations) for name, operations in _BUCKETS.items()},
}

RIGHT: dict[str, History] = {
    "a read that overlaps a write sees the old value": (
        Key(OLD),
        [put("a", 0, 9, "x"), get("b", 1, 2, "old")],
    ),
    "a read that overlaps a write sees the new value": (Key(OLD), [put("a", 0, 9, "x"), get("b", 1, 2, "x")]),
    "one of two creations wins": (Key(), [create("a", 0, 5, "x"), create("b", 0, 5, "y", outcome=_NO)]),
    "an unanswered write happens late": (
        Key(OLD),
        [
            op("a", 0, None, "put", "x", "x", False, None, "", outcome="unknown"),
            *(get("b", 1, 2, "old"), put("b", 3, 4, "y"), get("b", 5, 6, "x")),
        ],
    ),
    "an unanswered write never happens": (
        Key(OLD),
        [
            op("a", 0, None, "put", "x", "x", False, None, "", outcome="unknown"),
            get("b", 1, 2, "old"),
        ],
    ),
    "an unanswered deletion is seen": (
        Key(OLD),
        [op("a", 0, None, "delete", None, outcome="unknown"), get("b", 1, 2, "old"), get("b", 3, 4, None)],
    ),
    "a swap fails beside the one that wins": (
        Key(OLD),
        [put("a", 0, 5, "x", "old"), put("b", 0, 5, "y", "old", outcome=_NO)],
    ),
    "a completion is repeated": (Key(), [complete("a", 0, 1), complete("a", 2, 3)]),
    "Complete loses against Abort": (
        Key(),
        [complete("a", 0, 5, outcome="NoSuchUpload"), op("b", 0, 5, "abort", "u"), get("c", 6, 7, None)],
    ),
    "a bucket's deletion loses against a PUT": (
        Bucket(),
        [op("a", 0, 5, "put", "k"), op("b", 0, 5, "delete", outcome="BucketNotEmpty")],
    ),
    "a PUT loses against its bucket's deletion": (
        Bucket(),
        [op("a", 0, 5, "put", "k", outcome="NoSuchBucket"), op("b", 0, 5, "delete")],
    ),
    "an object survives the part that was sent too late": (
        Upload(),
        [
            op("a", 0, 1, "part", 1, "p"),
            *(op("a", 2, 5, "complete", ((1, "p"),)), op("b", 2, 5, "part", 1, "q", outcome="NoSuchUpload")),
            op("c", 6, 7, "get", seen=("p",)),
        ],
    ),
}
