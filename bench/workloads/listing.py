"""Pages of 1,000 entries: the first keys of a bucket, its common prefixes, and keys deep in it."""

from __future__ import annotations

from collections.abc import Callable

from bench.client import Request
from bench.stage import Stage
from bench.workloads import small
from bench.workloads.workload import Unit, Workload, make_bucket

TREE = "/bench-tree"
PAGE = 1_000
PREFIXES = ("", "k", "k0", "k00")
LEAST = 1_250
"""So many keys hold a whole page after any key that a request begins at."""


def seed_flat(stage: Stage) -> None:
    """Store the keys that pages hold, and see how many a first page holds."""
    _refuse_too_few(stage)
    small.seed(stage)
    _count_entries(stage, "list-flat", flat(stage, 1, 0)[0], b"<Key>")


def seed_deep(stage: Stage) -> None:
    """Store the keys that pages hold, and see how many a deep page holds."""
    _refuse_too_few(stage)
    small.seed(stage)
    _count_entries(stage, "list-deep-page", deep(stage, 1, 0)[0], b"<Key>")


def seed_tree(stage: Stage) -> None:
    """Store 1,000 common prefixes that share the keys, and see how many a page holds."""
    _refuse_too_few(stage)
    if "tree" not in stage.seeded:
        make_bucket(stage, TREE)
        stage.send(
            [
                stage.put(f"{TREE}/folder{index % PAGE:04d}/key{index // PAGE:06d}", 16, index)
                for index in range(stage.sizes.keys)
            ]
        )
        stage.seeded.add("tree")
    _count_entries(stage, "list-delimiter", delimiter(stage, 1, 0)[0], b"<Prefix>folder")


def _refuse_too_few(stage: Stage) -> None:
    if stage.sizes.keys < LEAST:
        raise RuntimeError(f"pages of {PAGE} keys need --keys {LEAST} or more")


def _count_entries(stage: Stage, name: str, request: Request, mark: bytes) -> None:
    """Note how many entries a page holds: a server may give fewer than were asked for."""
    if name not in stage.entries:
        answer = stage.answer(request)
        stage.entries[name] = answer.count(mark)
        if not stage.entries[name]:
            raise RuntimeError(f"a page holds no entries: {answer[:200]!r}")


def _page(stage: Stage, bucket: str, **query: str) -> Request:
    return stage.request("GET", bucket, {"list-type": "2", "max-keys": str(PAGE), **query})


def flat(stage: Stage, count: int, salt: int) -> list[Request]:
    """Return first pages, of prefixes that a thousand keys and more have."""
    return [
        _page(stage, small.BUCKET, prefix=PREFIXES[(salt + index) % len(PREFIXES)]) for index in range(count)
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
    width = keys // 10
    begin = min(keys * 8 // 10, keys - PAGE - width)
    return [
        _page(stage, small.BUCKET, **{"start-after": f"k{begin + (salt * 131 + index * 7919) % width:06d}"})
        for index in range(count)
    ]


def _listing(
    name: str,
    title: str,
    prepare: Callable[[Stage], None],
    requests: Callable[[Stage, int, int], list[Request]],
) -> Workload:
    return Workload(
        name,
        title,
        prepare,
        requests,
        unit=Unit.KEYS,
        op_keys=PAGE,
        connections=(16,),
        most=20_000,
        warm_up=32,
    )


WORKLOADS = (
    _listing("list-flat", "a page of 1,000 keys, the first of its bucket", seed_flat, flat),
    _listing("list-delimiter", "a page of 1,000 common prefixes, of the seeded keys", seed_tree, delimiter),
    _listing("list-deep-page", "a page of 1,000 keys, deep in the bucket", seed_deep, deep),
)
