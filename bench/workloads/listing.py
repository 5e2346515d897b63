"""Pages of 1,000 entries: the first keys of a bucket, its common prefixes, and keys deep in it."""

from __future__ import annotations

from bench.client import Request
from bench.stage import Stage
from bench.workloads import small
from bench.workloads.workload import Unit, Workload, make_bucket

TREE = "/bench-tree"
PAGE = 1_000


def seed_tree(stage: Stage) -> None:
    """Store 1,000 common prefixes of a tenth of a thousand keys each, or fewer where fewer keys are asked for."""
    if "tree" in stage.seeded:
        return
    make_bucket(stage, TREE)
    keys = stage.sizes.keys
    folders = min(PAGE, keys)
    stage.send(
        [
            stage.put(f"{TREE}/folder{index % folders:04d}/key{index // folders:06d}", 16, index)
            for index in range(keys)
        ]
    )
    stage.seeded.add("tree")


def _page(stage: Stage, bucket: str, **query: str) -> Request:
    return stage.request("GET", bucket, {"list-type": "2", "max-keys": str(PAGE), **query})


def flat(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return pages that begin at one of the first hundred keys."""
    return [
        _page(stage, small.BUCKET, **{"start-after": f"k{(salt + index) % 100:06d}"})
        for index in range(count)
    ]


def delimiter(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return pages of common prefixes."""
    return [
        _page(stage, TREE, delimiter="/", **{"start-after": f"a{(salt + index) % 100:06d}"})
        for index in range(count)
    ]


def deep(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return pages that begin between eight and nine tenths of the keys."""
    keys = stage.sizes.keys
    begin, width = keys * 8 // 10, max(1, keys // 10)
    return [
        _page(stage, small.BUCKET, **{"start-after": f"k{begin + (salt * 131 + index * 7919) % width:06d}"})
        for index in range(count)
    ]


def _listing(name: str, title: str, **more: object) -> Workload:
    return Workload(
        name, title, unit=Unit.KEYS, op_keys=PAGE, connections=(16,), most=20_000, warm_up=32, **more
    )  # type: ignore[arg-type]


WORKLOADS = (
    _listing("list-flat", "a page of 1,000 keys, near the first", prepare=small.seed, requests=flat),
    _listing(
        "list-delimiter",
        "a page of 1,000 common prefixes, of the seeded keys",
        prepare=seed_tree,
        requests=delimiter,
    ),
    _listing("list-deep-page", "a page of 1,000 keys, deep in the bucket", prepare=small.seed, requests=deep),
)
