"""What one key, one bucket and one upload do, one operation after the other.

A step returns the next state, or None where the operation can't have had its outcome. An operation named
"...?" below is unknown in its outcome; its step says what it does if it takes effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.torture.races.history import Operation, Value

# --- a key ----------------------------------------------------------------------------------------------


class Version(NamedTuple):
    """An object as a reader sees it: its body (and so its ETag), the write that gave its metadata, its tags."""

    body: str
    write: str
    tags: str = ""
    upload: str = ""
    """The upload that made it; readers don't see it."""
    content: str = ""
    """The MD5 of its bytes, where that is not its ETag: a copy has it as its own ETag."""

    @property
    def visible(self) -> tuple[str, str, str]:
        """What a GET shows: body, metadata, and whether it has tags."""
        return self.body, self.write, self.tags


class KeyState(NamedTuple):
    """A key: its object, the uploads that ended, and whether anything was ever changed."""

    now: Version | None
    ended: frozenset[str] = frozenset()
    is_touched: bool = False


class Key:
    """A key and the uploads on it.

    put(body, write, none_match, if_match, tags)      copy onto it: the same
    delete(if_match)        delete without a condition, through DeleteObjects, too
    get(), head()           seen: (body, write, tags)
    tag(tags)               PutObjectTagging, DeleteObjectTagging
    tags()                  seen: tags
    complete(upload, body, write, none_match)
    abort(upload)
    """

    reads = frozenset({"get", "head", "etag", "content", "tags"})

    def __init__(self, present: Version | None = None) -> None:
        """Begin with that object, or without one."""
        self._first = present

    def begin(self) -> KeyState:
        """Return the first state."""
        return KeyState(self._first)

    def step(self, state: KeyState, operation: Operation) -> KeyState | None:
        """Return the state after the operation."""
        expected, seen, after = getattr(self, f"_{operation.name}")(state, *operation.given)
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if operation.outcome == "unknown":
            return after if "ok" in allowed else None
        if operation.outcome == "OperationAborted" and operation.name == "tag":
            return state  # too many others were faster: said, and nothing was done
        if operation.outcome not in allowed or operation.seen != seen:
            return None
        return after if operation.outcome == "ok" else state

    def _put(
        self, state: KeyState, body: str, write: str, none_match: bool, if_match: str | None, tags: str
    ) -> tuple[Value, Value, KeyState]:
        after = KeyState(Version(body, write, tags), state.ended, True)
        return self._judge(state, none_match, if_match), None, after

    def _judge(self, state: KeyState, none_match: bool, if_match: str | None) -> str:
        if none_match and state.now is not None:
            return "PreconditionFailed"
        if if_match is not None:
            if state.now is None:
                return "NoSuchKey"
            if if_match not in ("*", state.now.body):
                return "PreconditionFailed"
        return "ok"

    def _delete(self, state: KeyState, if_match: str | None) -> tuple[Value, Value, KeyState]:
        after = state if state.now is None else KeyState(None, state.ended, True)
        return self._judge(state, False, if_match), None, after

    def _get(self, state: KeyState) -> tuple[Value, Value, KeyState]:
        if state.now is None:
            return "NoSuchKey", None, state
        return "ok", state.now.visible, state

    _head = _get

    def _etag(self, state: KeyState) -> tuple[Value, Value, KeyState]:
        return ("NoSuchKey", None, state) if state.now is None else ("ok", state.now.body, state)

    def _content(self, state: KeyState) -> tuple[Value, Value, KeyState]:
        now = state.now
        return ("NoSuchKey", None, state) if now is None else ("ok", now.content or now.body, state)

    def _tag(self, state: KeyState, tags: str) -> tuple[Value, Value, KeyState]:
        if state.now is None:
            return "NoSuchKey", None, state
        return "ok", None, KeyState(state.now._replace(tags=tags), state.ended, True)

    def _tags(self, state: KeyState) -> tuple[Value, Value, KeyState]:
        return ("NoSuchKey", None, state) if state.now is None else ("ok", state.now.tags, state)

    def _complete(
        self, state: KeyState, upload: str, body: str, write: str, none_match: bool, content: str
    ) -> tuple[Value, Value, KeyState]:
        if upload in state.ended:
            is_current = state.now is not None and state.now.upload == upload
            return ("ok" if is_current else "NoSuchUpload"), None, state
        after = KeyState(Version(body, write, "", upload, content), state.ended | {upload}, True)
        if not none_match:
            return "ok", None, after
        if state.now is not None:
            return "PreconditionFailed", None, after
        if state.is_touched:
            # Absent now, but was it all the time since the upload began? The model does not remember.
            return ("ok", "ConditionalRequestConflict"), None, after
        return "ok", None, after

    def _abort(self, state: KeyState, upload: str) -> tuple[Value, Value, KeyState]:
        if upload in state.ended:
            return "NoSuchUpload", None, state
        return "ok", None, KeyState(state.now, state.ended | {upload}, state.is_touched)


# --- a bucket -------------------------------------------------------------------------------------------


class BucketState(NamedTuple):
    """A bucket that exists: its keys, its unfinished uploads, its CORS rule."""

    keys: frozenset[str] = frozenset()
    uploads: frozenset[str] = frozenset()
    cors: str | None = None


class Bucket:
    """A bucket, and which keys and uploads are in it.

    create(), delete(), head(), list() (seen: keys), put(key), remove(key), get(key), begin(upload), part(upload),
    uploads() (seen: uploads), set_cors(rule), cors() (seen: rule)
    """

    reads = frozenset({"head", "list", "get", "part", "uploads", "cors"})

    def __init__(self, *, exists: bool = True) -> None:
        """Begin with an empty bucket, or with none."""
        self._first = BucketState() if exists else ()

    def begin(self) -> object:
        """Return the first state; () is a bucket that does not exist."""
        return self._first

    def step(self, state: object, operation: Operation) -> object:
        """Return the state after the operation."""
        if operation.name == "create":
            expected, seen, after = (
                ("BucketAlreadyOwnedByYou" if state else "ok"),
                None,
                state or BucketState(),
            )
        elif not state:
            expected, seen, after = "NoSuchBucket", None, state
        else:
            expected, seen, after = getattr(self, f"_{operation.name}")(state, *operation.given)
        if operation.outcome == "unknown":
            return after if expected == "ok" else None
        if operation.outcome != expected or operation.seen != seen:
            return None
        return after if expected == "ok" else state

    def _delete(self, state: BucketState) -> tuple[str, Value, object]:
        return ("BucketNotEmpty" if state.keys else "ok"), None, ()

    def _head(self, state: BucketState) -> tuple[str, Value, object]:
        return "ok", None, state

    def _list(self, state: BucketState) -> tuple[str, Value, object]:
        return "ok", tuple(sorted(state.keys)), state

    def _put(self, state: BucketState, key: str) -> tuple[str, Value, object]:
        return "ok", None, state._replace(keys=state.keys | {key})

    def _remove(self, state: BucketState, key: str) -> tuple[str, Value, object]:
        return "ok", None, state._replace(keys=state.keys - {key})

    def _get(self, state: BucketState, key: str) -> tuple[str, Value, object]:
        return ("ok" if key in state.keys else "NoSuchKey"), None, state

    def _begin(self, state: BucketState, upload: str) -> tuple[str, Value, object]:
        return "ok", None, state._replace(uploads=state.uploads | {upload})

    def _part(self, state: BucketState, upload: str) -> tuple[str, Value, object]:
        return ("ok" if upload in state.uploads else "NoSuchUpload"), None, state

    def _uploads(self, state: BucketState) -> tuple[str, Value, object]:
        return "ok", tuple(sorted(state.uploads)), state

    def _set_cors(self, state: BucketState, rule: str | None) -> tuple[str, Value, object]:
        return "ok", None, state._replace(cors=rule)

    def _cors(self, state: BucketState) -> tuple[str, Value, object]:
        return ("NoSuchCORSConfiguration" if state.cors is None else "ok"), state.cors, state


# --- an upload ------------------------------------------------------------------------------------------

Parts = frozenset[tuple[int, str]]


class UploadState(NamedTuple):
    """An upload: whether it is open, its parts, and the object that it became, by the parts listed."""

    is_open: bool = True
    parts: Parts = frozenset()
    made: tuple[tuple[int, str], ...] | None = None


class Upload:
    """One upload on a key that nothing else writes to.

    part(number, body), parts() (seen: ((number, body), ...)), complete(((number, body), ...)), abort(), get() (seen:
    the bodies of the parts)
    """

    reads = frozenset({"parts", "get"})

    def begin(self) -> UploadState:
        """Return the first state."""
        return UploadState()

    def step(self, state: UploadState, operation: Operation) -> UploadState | None:
        """Return the state after the operation."""
        steps: dict[str, Callable[..., tuple[str, Value, UploadState]]] = {
            "part": self._part,
            "parts": self._parts,
            "complete": self._complete,
            "abort": self._abort,
            "get": self._get,
        }
        expected, seen, after = steps[operation.name](state, *operation.given)
        if operation.outcome == "unknown":
            return after if expected == "ok" else None
        if operation.outcome != expected or operation.seen != seen:
            return None
        return after if expected == "ok" else state

    def _part(self, state: UploadState, number: int, body: str) -> tuple[str, Value, UploadState]:
        if not state.is_open:
            return "NoSuchUpload", None, state
        kept = {pair for pair in state.parts if pair[0] != number}
        return "ok", None, state._replace(parts=frozenset({*kept, (number, body)}))

    def _parts(self, state: UploadState) -> tuple[str, Value, UploadState]:
        if not state.is_open:
            return "NoSuchUpload", None, state
        return "ok", tuple(sorted(state.parts)), state

    def _complete(
        self, state: UploadState, listed: tuple[tuple[int, str], ...]
    ) -> tuple[str, Value, UploadState]:
        if not state.is_open:
            return ("ok" if state.made == listed else "NoSuchUpload"), None, state
        if not state.parts.issuperset(listed):
            return "InvalidPart", None, state
        return "ok", None, UploadState(False, frozenset(), listed)

    def _abort(self, state: UploadState) -> tuple[str, Value, UploadState]:
        if not state.is_open:
            return "NoSuchUpload", None, state
        return "ok", None, UploadState(False)

    def _get(self, state: UploadState) -> tuple[str, Value, UploadState]:
        if state.made is None:
            return "NoSuchKey", None, state
        return "ok", tuple(body for _, body in state.made), state


def parts_of(pairs: Iterable[Iterable[Value]]) -> tuple[tuple[int, str], ...]:
    """Return parts as the model has them."""
    return tuple((number, body) for number, body in pairs)
