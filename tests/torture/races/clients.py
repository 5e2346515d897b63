"""One client process: several lanes, each sends one request after the other and writes down what came of it.

    python -m tests.torture.races.clients HOST:PORT[,HOST:PORT]... ID SECRET NAME LANES WORKERS

reads rounds from its input, one a line, as JSON: for each lane a list of steps. It plays a round in all its lanes
at once, writes the operations (history.py) to its output, and then a line "end". Times are of CLOCK_MONOTONIC, which
all processes of a machine share.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable

from tests.rawclient import RawClient, Response, encode_query, md5_b64
from tests.torture.races.contents import body_of, etag_of, tagging_document, tags_of, verified
from tests.torture.races.history import Value, dump
from tests.torture.races.lanes import Lane, Made, Step, outcome_of, read, simple
from tests.torture.spread import Spread
from tests.uploads import document

# --- steps on keys --------------------------------------------------------------------------------------


def _put(lane: Lane, step: Step) -> None:
    body = body_of(step["label"], step["size"])
    etag = etag_of(body)
    if_match = lane.condition(step)
    headers = {"x-amz-meta-write": step["label"]}
    if step.get("none_match"):
        headers["if-none-match"] = "*"
    if if_match:
        headers["if-match"] = f'"{if_match}"'
    tags = step.get("tags", "")
    if tags:
        headers["x-amz-tagging"] = encode_query(tags_of(tags))
    given = (etag, step["label"], bool(step.get("none_match")), if_match, tags)
    made = simple(step["path"], "put", *given)
    if outcome_of(lane.ask(step, "PUT", step["path"], (), headers, body, made=made)) == "ok":
        lane.saw(step["path"], etag)


def _delete(lane: Lane, step: Step) -> None:
    if_match = lane.condition(step)
    headers = {} if not if_match else {"if-match": "*" if if_match == "*" else f'"{if_match}"'}
    lane.ask(step, "DELETE", step["path"], (), headers, made=simple(step["path"], "delete", if_match))


def _get(lane: Lane, step: Step) -> None:
    answer = lane.ask(step, "GET", step["path"], made=read(step["path"], "get", verified))
    if answer is not None and answer.status == 200:
        lane.saw(step["path"], answer.headers["etag"].strip('"'))


def _head(lane: Lane, step: Step) -> None:
    def see(answer: Response) -> Value:
        headers = answer.headers
        tags = headers.get("x-amz-tagging-count", "")
        return headers["etag"].strip('"'), headers.get("x-amz-meta-write", ""), tags

    answer = lane.ask(step, "HEAD", step["path"], made=read(step["path"], "head", see))
    if answer is not None and answer.status == 200:
        lane.saw(step["path"], answer.headers["etag"].strip('"'))


def _tag(lane: Lane, step: Step) -> None:
    made = simple(step["path"], "tag", step["tags"])
    if step["tags"]:
        body = tagging_document(step["tags"])
        headers = {"content-md5": md5_b64(body)}
        lane.ask(step, "PUT", step["path"], [("tagging", "")], headers, body, made=made)
    else:
        lane.ask(step, "DELETE", step["path"], [("tagging", "")], made=made)


def _tags(lane: Lane, step: Step) -> None:
    def see(answer: Response) -> Value:
        values = set(answer.texts("TagSet/Tag/Value"))
        count = len(answer.texts("TagSet/Tag"))
        if not count:
            return ""
        return str(count) if values == {f"v{count}"} else f"torn: {sorted(values)}"

    lane.ask(step, "GET", step["path"], [("tagging", "")], made=read(step["path"], "tags", see))


def _copy(lane: Lane, step: Step) -> None:
    """Copy: a read of the source, and a write of what was read; both happen within the request."""
    path, source, label = step["path"], step["source"], step["label"]
    headers = {
        "x-amz-copy-source": source,
        "x-amz-metadata-directive": "REPLACE",
        "x-amz-tagging-directive": "REPLACE",
        "x-amz-meta-write": label,
    }
    if step.get("none_match"):
        headers["if-none-match"] = "*"

    def made(answer: Response | None) -> Iterable[Made]:
        outcome = outcome_of(answer)
        if outcome == "NoSuchKey":
            yield source, "content", (), outcome, None
        elif answer is not None:
            etag = (answer.text("ETag") or "").strip('"')
            if outcome == "ok":
                yield source, "content", (), "ok", etag
            yield path, "put", (etag, label, bool(step.get("none_match")), None, ""), outcome, None

    lane.ask(step, "PUT", path, (), headers, made=made)


def _list(lane: Lane, step: Step) -> None:
    """List: of one page, what it shows of each key of interest is a read of that key."""
    bucket = step["path"].split("/")[1]

    def made(answer: Response | None) -> Iterable[Made]:
        if answer is None:
            return
        outcome = outcome_of(answer)
        found = {}
        if outcome == "ok":
            etags = [etag.strip('"') for etag in answer.texts("Contents/ETag")]
            found = dict(zip(answer.texts("Contents/Key"), etags, strict=True))
        for path in step["paths"]:
            etag = found.get(path.split("/", 2)[2])
            missing = "NoSuchKey" if outcome == "ok" and etag is None else outcome
            yield path, "etag", (), missing, etag

    lane.ask(step, "GET", f"/{bucket}", [("list-type", "2"), ("prefix", step["prefix"])], made=made)


def _delete_many(lane: Lane, step: Step) -> None:
    paths = step["paths"]
    bucket = paths[0].split("/")[1]
    conditions = {path: lane.condition({**step, "path": path}) for path in paths}
    rows = "".join(
        f"<Object><Key>{path.split('/', 2)[2]}</Key>{f'<ETag>{etag}</ETag>' if etag else ''}</Object>"
        for path, etag in conditions.items()
    )
    body = f"<Delete>{rows}</Delete>".encode()

    def made(answer: Response | None) -> Iterable[Made]:
        outcome = outcome_of(answer)
        refused: dict[str, str] = {}
        if answer is not None and outcome == "ok":
            refused = dict(zip(answer.texts("Error/Key"), answer.texts("Error/Code"), strict=True))
        for path, etag in conditions.items():
            yield path, "delete", (etag,), refused.get(path.split("/", 2)[2], outcome), None

    headers = {"content-md5": md5_b64(body)}
    lane.ask(step, "POST", f"/{bucket}", [("delete", "")], headers, body, made=made)


def _complete(lane: Lane, step: Step) -> None:
    upload, etag = step["upload"], step["etag"]
    headers = {"if-none-match": "*"} if step.get("none_match") else {}
    given = (upload, etag, step["label"], bool(step.get("none_match")), step["content"])
    made = simple(step["path"], "complete", *given)
    query, body = [("uploadId", upload)], document([(1, step["part"])])
    lane.ask(step, "POST", step["path"], query, headers, body, made=made)


def _abort(lane: Lane, step: Step) -> None:
    query = [("uploadId", step["upload"])]
    lane.ask(step, "DELETE", step["path"], query, made=simple(step["path"], "abort", step["upload"]))


# --- steps on an upload (the subject is its path) -------------------------------------------------------


def _part(lane: Lane, step: Step) -> None:
    body = body_of(step["label"], step["size"])
    query = [("partNumber", str(step["number"])), ("uploadId", step["upload"])]
    made = simple(step["path"], "part", step["number"], etag_of(body))
    lane.ask(step, "PUT", step["path"], query, {}, body, made=made)


def _parts(lane: Lane, step: Step) -> None:
    def see(answer: Response) -> Value:
        etags = [etag.strip('"') for etag in answer.texts("Part/ETag")]
        return tuple(zip(map(int, answer.texts("Part/PartNumber")), etags, strict=True))

    lane.ask(step, "GET", step["path"], [("uploadId", step["upload"])], made=read(step["path"], "parts", see))


def _complete_parts(lane: Lane, step: Step) -> None:
    listed = tuple((number, etag) for number, etag in step["listed"])
    body = document([(number, f'"{etag}"') for number, etag in listed])
    made = simple(step["path"], "complete", listed)
    lane.ask(step, "POST", step["path"], [("uploadId", step["upload"])], {}, body, made=made)


def _abort_upload(lane: Lane, step: Step) -> None:
    query = [("uploadId", step["upload"])]
    lane.ask(step, "DELETE", step["path"], query, made=simple(step["path"], "abort"))


def _get_parts(lane: Lane, step: Step) -> None:
    """Read the object of an upload: bodies of one size each, so that they can be told apart."""

    def see(answer: Response) -> Value:
        size = step["size"]
        return tuple(etag_of(answer.body[at : at + size]) for at in range(0, len(answer.body), size))

    lane.ask(step, "GET", step["path"], made=read(step["path"], "get", see))


# --- steps on a bucket (the subject is its path) --------------------------------------------------------


def _in_bucket(name: str, method: str, path: str = "", **query: str) -> Callable[[Lane, Step], None]:
    """Return a step on a bucket that is told by its outcome; `path` is of a key, which is given."""

    def play(lane: Lane, step: Step) -> None:
        bucket = step["path"]
        key = step.get("key")
        given = () if key is None else (key,)
        body = b"x" * step.get("size", 1) if name == "put" else b""
        made = simple(bucket, name, *given)
        if name in ("head", "get"):
            made = read(bucket, name, lambda _: None, *given)
        lane.ask(step, method, bucket + path.format(key), list(query.items()), {}, body, made=_renamed(made))

    return play


def _renamed(
    made: Callable[[Response | None], Iterable[Made]],
) -> Callable[[Response | None], Iterable[Made]]:
    """HEAD of a bucket has no document: its 404 means NoSuchBucket."""

    def again(answer: Response | None) -> Iterable[Made]:
        for subject, name, given, outcome, seen in made(answer):
            is_bare = name == "head" and outcome == "NoSuchKey"
            yield subject, name, given, "NoSuchBucket" if is_bare else outcome, seen

    return again


def _keys(lane: Lane, step: Step) -> None:
    made = read(step["path"], "list", lambda answer: tuple(answer.texts("Contents/Key")))
    lane.ask(step, "GET", step["path"], [("list-type", "2")], made=made)


def _uploads(lane: Lane, step: Step) -> None:
    made = read(step["path"], "uploads", lambda answer: tuple(sorted(answer.texts("Upload/Key"))))
    lane.ask(step, "GET", step["path"], [("uploads", "")], made=made)


def _set_cors(lane: Lane, step: Step) -> None:
    made = simple(step["path"], "set_cors", step["rule"])
    if step["rule"] is None:
        lane.ask(step, "DELETE", step["path"], [("cors", "")], made=made)
        return
    rule = f"<CORSRule><AllowedOrigin>{step['rule']}</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    body = f"<CORSConfiguration>{rule}</CORSConfiguration>".encode()
    headers = {"content-md5": md5_b64(body)}
    lane.ask(step, "PUT", step["path"], [("cors", "")], headers, body, made=made)


def _cors(lane: Lane, step: Step) -> None:
    made = read(step["path"], "cors", lambda answer: answer.text("CORSRule/AllowedOrigin"))
    lane.ask(step, "GET", step["path"], [("cors", "")], made=made)


STEPS: dict[str, Callable[[Lane, Step], None]] = {
    "put": _put,
    "delete": _delete,
    "get": _get,
    "head": _head,
    "tag": _tag,
    "tags": _tags,
    "copy": _copy,
    "list": _list,
    "delete_many": _delete_many,
    "complete": _complete,
    "abort": _abort,
    "part": _part,
    "parts": _parts,
    "complete_parts": _complete_parts,
    "abort_upload": _abort_upload,
    "get_parts": _get_parts,
    "create_bucket": _in_bucket("create", "PUT"),
    "delete_bucket": _in_bucket("delete", "DELETE"),
    "head_bucket": _in_bucket("head", "HEAD"),
    "put_key": _in_bucket("put", "PUT", "/{}"),
    "remove_key": _in_bucket("remove", "DELETE", "/{}"),
    "get_key": _in_bucket("get", "GET", "/{}"),
    "begin_upload": _in_bucket("begin", "POST", "/{}", uploads=""),
    "keys": _keys,
    "uploads": _uploads,
    "set_cors": _set_cors,
    "cors": _cors,
}


def main(servers: str, access_key_id: str, secret: str, name: str, lanes: int, workers: int) -> None:
    """Play rounds until the input ends."""
    s3 = Spread([RawClient(f"http://{server}", access_key_id, secret) for server in servers.split(",")])
    crew = [Lane(s3, f"{name}.{number}", workers) for number in range(lanes)]
    for lane in crew:
        lane.meet()
    print("ready", flush=True)
    for line in sys.stdin:
        scripts = json.loads(line)
        threads = [
            threading.Thread(target=lane.play, args=(steps, STEPS))
            for lane, steps in zip(crew, scripts, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        played = crew[: len(threads)]
        sys.stdout.writelines(dump(one) + "\n" for lane in played for one in lane.operations)
        print("end", flush=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*arguments[:4], *map(int, arguments[4:6]))  # type: ignore[arg-type]
