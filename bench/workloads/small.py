"""Objects of 4 KiB: GET, HEAD, PUT, DELETE, and the common mix of them."""

from __future__ import annotations

from bench.client import Request
from bench.stage import Stage
from bench.workloads.workload import Floor, Workload, make_bucket

SIZE = 4096
BUCKET, NEW = "/bench-4k", "/bench-new"
MIX = "GHGPGHGDGHGPGHGHGDHP"
"""20 requests: 9 GET, 6 HEAD, 3 PUT, 2 DELETE, which is 45, 30, 15 and 10 %."""


def key(index: int) -> str:
    """Return the path of a seeded object."""
    return f"{BUCKET}/k{index:06d}"


def seed(stage: Stage) -> None:
    """Store the keys that GET, HEAD and LIST read."""
    if "4k" in stage.seeded:
        return
    make_bucket(stage, BUCKET)
    make_bucket(stage, NEW)
    if not stage.target.is_floor:
        stage.send([stage.put(key(index), SIZE, index) for index in range(stage.sizes.keys)])
    stage.seeded.add("4k")


def _spread(stage: Stage, index: int) -> int:
    """Return a seeded key's number: neighbours in time are not neighbours in the index."""
    return index * 7919 % stage.sizes.keys


def get(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return GETs of seeded keys."""
    begin = salt * 131
    return [
        stage.request("GET", key(_spread(stage, begin + index)), answer_bytes=SIZE) for index in range(count)
    ]


def head(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return HEADs of seeded keys."""
    return [stage.request("HEAD", key(_spread(stage, salt * 131 + index))) for index in range(count)]


def new_key(salt: int, index: int) -> str:
    """Return the path of an object that one load stores or deletes."""
    return f"{NEW}/s{salt:04d}-{index * 7919 % 1_000_003:06d}"


def put(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return PUTs of new keys."""
    return [stage.put(new_key(salt, index), SIZE, salt * 100_003 + index) for index in range(count)]


def put_in_order(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return PUTs of new keys in the order of the index, as names that begin with a time arrive."""
    path = f"{NEW}/t{salt:04d}"
    return [stage.put(f"{path}-{index:06d}", SIZE, salt * 100_003 + index) for index in range(count)]


def before_delete(stage: Stage, count: int, salt: int) -> None:
    """Store the keys that a load of DELETEs is to meet."""
    if not stage.target.is_floor:
        stage.send(put(stage, count, salt))


def delete(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return DELETEs of existing keys, each once."""
    return [stage.request("DELETE", new_key(salt, index), status=204) for index in range(count)]


def before_mixed(stage: Stage, count: int, salt: int) -> None:
    """Store the keys that the mix deletes."""
    if not stage.target.is_floor:
        gone = [index for index in range(count) if MIX[index % len(MIX)] == "D"]
        stage.send([stage.put(new_key(salt, index), SIZE, index) for index in gone])


def mixed(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return the common mix: 45 % GET, 30 % HEAD, 15 % PUT of new keys, 10 % DELETE of existing ones."""
    made = []
    for index in range(count):
        what = MIX[index % len(MIX)]
        number = _spread(stage, salt * 131 + index)
        if what == "G":
            made.append(stage.request("GET", key(number), answer_bytes=SIZE))
        elif what == "H":
            made.append(stage.request("HEAD", key(number)))
        elif what == "P":
            made.append(stage.put(new_key(salt, index), SIZE, salt * 100_003 + index))
        else:
            made.append(stage.request("DELETE", new_key(salt, index), status=204))
    return made


WORKLOADS = (
    Workload("get-4k", "GET of 4 KiB objects", seed, get, floors=(Floor.HANDLER,)),
    Workload("head", "HEAD of 4 KiB objects", seed, head, floors=(Floor.HANDLER,)),
    Workload(
        "put-4k", "PUT of new 4 KiB objects", seed, put, floors=(Floor.HANDLER, Floor.DISK), writes=True
    ),
    Workload(
        "put-4k-in-order",
        "PUT of new 4 KiB objects whose keys ascend",
        seed,
        put_in_order,
        floors=(Floor.HANDLER, Floor.DISK),
        writes=True,
    ),
    Workload(
        "delete",
        "DELETE of existing 4 KiB objects",
        seed,
        delete,
        before=before_delete,
        floors=(Floor.HANDLER, Floor.DISK),
        writes=True,
    ),
    Workload(
        "mixed-4k",
        "45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE of 4 KiB objects",
        seed,
        mixed,
        before=before_mixed,
        floors=(Floor.HANDLER,),
        writes=True,
    ),
)
