"""Reads LMDB's file as it lies on the disk, page by page, and tells what no intact tree would have.

LMDB trusts its pages: a damaged one may hide rows, show them twice, or end the process. This reader trusts
nothing. What it knows of the format is LMDB 0.9's on 64-bit machines: a page's header repeats its number, its
nodes fill it from `upper` to the end without a gap, keys ascend and lie between those of the page above, each
tree's record counts its pages and rows, and every page is used once or free.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import lmdb

from anys3.store.embedded import device
from anys3.store.errors import Unavailable

_HEADER = struct.Struct("=QHHHH")  # number, pad, flags, lower, upper
_OVERFLOW_HEADER = struct.Struct("=QHHI")  # number, pad, flags, count of its pages
_NODE = struct.Struct("=HHHH")  # low and high half of the size, flags, size of the key
_TREE = struct.Struct("=IHHQQQQQ")  # pad, flags, depth, branch, leaf and overflow pages, rows, root
_META = struct.Struct(
    "=16xIIQQ48s48sQQ"
)  # magic, version, address, map size, free list, main tree, last, txn
_NUMBER = struct.Struct("=Q")
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 1, 2, 4, 8
_BIG, _TREE_IN_NODE = 1, 2
_NO_PAGE = 2**64 - 1
_FREE_LIST, _MAIN = "free list", "main tree"
_INTEGER_KEYS = 8
_ATTEMPTS = 100
_UNWRITTEN_MAX = 65_536
"""Pages behind the end of the file that a commit may count: it gave them numbers, and never wrote them."""

IS_KNOWN = lmdb.version()[:2] == (0, 9) and struct.calcsize("P") == _NUMBER.size
"""Whether this build of LMDB writes the format that is read here; else only LMDB looks at the pages."""

OnRow = Callable[[str, bytes, bytes], None]


class Meta(NamedTuple):
    """A meta page: the roots of one commit."""

    free: bytes
    main: bytes
    last: int
    transaction: int


class Tree(NamedTuple):
    """A tree's record."""

    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    rows: int
    root: int


@dataclass(frozen=True, slots=True)
class PageDamage:
    """A damaged page, and which keys of which table it hides: from `first` to before `behind` (b"": no end)."""

    table: str
    page: int
    reason: str
    first: bytes = b""
    behind: bytes = b""


class _Bad(Exception):  # noqa: N818 (a verdict, not an error)
    """What is wrong with the page at hand."""


def metas(descriptor: int, page_size: int) -> tuple[list[Meta], list[PageDamage]]:
    """Return the meta pages that are plausible, and what is wrong with the others, or with both together.

    Each commit writes the page that its number's last bit names, so the two are of neighbouring commits. A
    relaxed store that went back to a checkpoint has the same one twice (checkpoints.py).
    """
    found: dict[int, Meta] = {}
    damaged: list[PageDamage] = []
    both = _read_settled(descriptor, page_size)
    raws = [both[:page_size], both[page_size:]]
    in_file = os.fstat(descriptor).st_size // page_size
    for number, raw in enumerate(raws):
        try:
            found[number] = _meta(number, raw, page_size, in_file)
        except _Bad as bad:
            damaged.append(PageDamage("meta", number, str(bad)))
    if len(found) == 2:
        one, two = found.values()
        is_restored = one == two
        is_new = one.transaction == two.transaction == 0
        if not (is_restored or is_new) and (
            abs(one.transaction - two.transaction) != 1 or one.transaction % 2 or not two.transaction % 2
        ):
            reason = f"the meta pages are of the commits {one.transaction} and {two.transaction}"
            damaged.append(PageDamage("meta", 0, reason))
        older, newer = sorted(found.values(), key=lambda each: each.transaction)
        if newer.last < older.last and not is_restored:
            damaged.append(
                PageDamage("meta", newer.transaction % 2, "its commit has fewer pages than the last")
            )
    if found:
        newest = max(found, key=lambda number: found[number].transaction)
        try:
            _check_roots(found[newest])
        except _Bad as bad:
            damaged.append(PageDamage("meta", newest, str(bad)))
            del found[newest]
    return list(found.values()), damaged


def _read_settled(descriptor: int, page_size: int) -> bytes:
    """Return both meta pages of one moment, though commits may come meanwhile: read alike twice in a row."""
    both = _read(descriptor, 0, page_size, 2)
    for _ in range(_ATTEMPTS):
        again = _read(descriptor, 0, page_size, 2)
        if again == both:
            break
        both = again
    return both


def _meta(number: int, raw: bytes, page_size: int, in_file: int) -> Meta:
    if len(raw) < page_size:
        raise _Bad("the file ends before it")
    page, _, flags, _, _ = _HEADER.unpack_from(raw)
    magic, version, _, _, free, main, last, transaction = _META.unpack_from(raw)
    if (page, flags, magic, version) != (number, _META_PAGE, _MAGIC, _VERSION):
        raise _Bad("it is no meta page")
    if _TREE.unpack(free)[0] != page_size or _tree(free).flags != _INTEGER_KEYS or _tree(main).flags:
        raise _Bad("its trees are none of ours")
    if last >= in_file + _UNWRITTEN_MAX:
        raise _Bad(f"it counts {last + 1} pages, and the file has {in_file}")
    return Meta(free, main, last, transaction)


def _check_roots(meta: Meta) -> None:
    """Raise _Bad if a root can't be.

    The newer meta page is what counts. Where a commit could not be ended LMDB makes its page the older one by
    the old number, and leaves the new roots in it, which may lie behind the old end.
    """
    for tree in (_tree(meta.free), _tree(meta.main)):
        if tree.root != _NO_PAGE and not 2 <= tree.root <= meta.last:
            raise _Bad(f"it names the root {tree.root} of {meta.last + 1} pages")


def _tree(raw: bytes) -> Tree:
    return Tree(*_TREE.unpack(raw)[1:])


def _read(descriptor: int, number: int, page_size: int, count: int = 1) -> bytes:
    memory = bytearray(page_size * count)
    got = device.read_at(descriptor, memoryview(memory), number * page_size)
    return bytes(memory[:got])


@dataclass
class Inspection:
    """One look at all pages of one commit, which somebody must hold (by a read transaction) meanwhile."""

    descriptor: int
    page_size: int
    transaction: int
    on_row: OnRow
    on_page: Callable[[int], None] = lambda _: None
    """Called with the number of pages seen so far, now and then."""
    damaged: list[PageDamage] = field(default_factory=list)
    seen: int = 0
    last: int = 0
    unaccounted: int = 0
    """Pages that are neither used nor free. They only take room."""

    def run(self) -> None:
        """Look at everything. Raises Unavailable if the commit is gone."""
        found, self.damaged = metas(self.descriptor, self.page_size)
        meta = next((one for one in found if one.transaction == self.transaction), None)
        if meta is None:
            raise Unavailable(f"no meta page is of commit {self.transaction}")
        self.last = meta.last
        self._used = bytearray(meta.last + 1)
        self._used[0] = self._used[1] = 1
        self._tables: dict[str, Tree] = {}
        self._walk(_MAIN, _tree(meta.main))
        for name, tree in self._tables.items():
            self._walk(name, tree)
        self._walk(_FREE_LIST, _tree(meta.free))
        self.unaccounted = self._used.count(0)

    def _walk(self, table: str, tree: Tree) -> None:
        if tree.root == _NO_PAGE:
            if tree[1:6] != (0, 0, 0, 0, 0):
                self.damaged.append(PageDamage(table, 0, "its record counts rows, and names no page"))
            return
        counts = [0, 0, 0, 0]  # branches, leaves, overflow pages, rows
        before = len(self.damaged)
        self._visit(table, tree, tree.root, 1, b"", b"", counts)
        if len(self.damaged) == before and counts != [tree.branches, tree.leaves, tree.overflows, tree.rows]:
            reason = f"branch, leaf, overflow pages and rows are {counts}, its record says {list(tree[2:6])}"
            self.damaged.append(PageDamage(table, tree.root, reason))

    def _visit(
        self, table: str, tree: Tree, number: int, level: int, first: bytes, behind: bytes, counts: list[int]
    ) -> None:
        try:
            raw = self._take(number, level, tree)
            nodes = _nodes(raw, self.page_size)
            keys = [raw[at + 8 : at + 8 + size] for at, _, _, _, size in nodes]
            is_leaf = level == tree.depth
            if not is_leaf:
                keys[0] = first  # whatever stands there, LMDB takes it for the smallest
            _check_order(keys, first, behind, is_integer=table == _FREE_LIST)
            if is_leaf:
                counts[1] += 1
                counts[3] += len(nodes)
                for (at, low, high, flags, size), key in zip(nodes, keys, strict=True):
                    self._row(table, key, raw, (at + 8 + size, low | high << 16, flags), counts)
                return
            counts[0] += 1
        except _Bad as bad:
            self.damaged.append(PageDamage(table, number, str(bad), first, behind))
            return
        bounds = [*keys[1:], behind]
        for (_, low, high, flags, _), key, end in zip(nodes, keys, bounds, strict=True):
            self._visit(table, tree, low | high << 16 | flags << 32, level + 1, key, end, counts)

    def _take(self, number: int, level: int, tree: Tree) -> bytes:
        """Return a page that nothing else has used. Raises _Bad."""
        self._use(number, 1)
        raw = _read(self.descriptor, number, self.page_size)
        if len(raw) < self.page_size:
            raise _Bad("the file ends before it")
        found, _, flags, _, _ = _HEADER.unpack_from(raw)
        expected = _LEAF if level == tree.depth else _BRANCH
        if (found, flags) != (number, expected) or level > tree.depth:
            raise _Bad(f"its header says number {found}, flags {flags}")
        return raw

    def _use(self, number: int, count: int) -> None:
        if number < 2 or number + count - 1 > self.last:
            raise _Bad(f"there is no page {number}")
        if any(self._used[number : number + count]):
            raise _Bad(f"page {number} is used twice")
        self._used[number : number + count] = b"\1" * count
        self.seen += count
        if self.seen % 256 < count:
            self.on_page(self.seen)

    def _row(
        self, table: str, key: bytes, raw: bytes, value: tuple[int, int, int], counts: list[int]
    ) -> None:
        """Look at one row: (place of the value in the page, its size, flags). Raises _Bad."""
        at, size, flags = value
        content = raw[at : at + size]
        if flags == _BIG:
            content, pages = self._overflow(_NUMBER.unpack_from(raw, at)[0], size)
            counts[2] += pages
        if table == _MAIN:
            if flags != _TREE_IN_NODE or size != _TREE.size:
                raise _Bad(f"the row {key!r} is no table")
            name, tree = key.decode("ascii", "backslashreplace"), _tree(content)
            if tree.flags or _TREE.unpack(content)[0]:
                raise _Bad(f"the record of the table {name} has the flags {tree.flags}")
            self._tables[name] = tree
        elif table == _FREE_LIST:
            for number in _free(content):
                self._use(number, 1)
        else:
            self.on_row(table, key, content)

    def _overflow(self, number: int, size: int) -> tuple[bytes, int]:
        """Return a value that has pages of its own, and how many those are. Raises _Bad."""
        if not 2 <= number <= self.last:
            raise _Bad(f"there is no page {number}")
        header = _read(self.descriptor, number, self.page_size)[: _HEADER.size]
        found, _, flags, count = _OVERFLOW_HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
        # A value that was replaced by a smaller one keeps its pages.
        if (found, flags) != (number, _OVERFLOW) or count * self.page_size < size + _HEADER.size:
            raise _Bad(f"the overflow page {number} is damaged")
        self._use(number, count)
        pages = _read(self.descriptor, number, self.page_size, count)
        if len(pages) < size + _HEADER.size:
            raise _Bad("the file ends before a value")
        return pages[_HEADER.size : _HEADER.size + size], count


def _nodes(raw: bytes, page_size: int) -> list[tuple[int, int, int, int, int]]:
    """Return (offset, low and high half of the size, flags, size of the key) of a page's nodes. Raises _Bad."""
    _, _, kind, lower, upper = _HEADER.unpack_from(raw)
    if not _HEADER.size < lower <= upper <= page_size or lower % 2 or upper % 2:
        raise _Bad(f"its free room is said to be from {lower} to {upper}")
    offsets = struct.unpack_from(f"={(lower - _HEADER.size) // 2}H", raw, _HEADER.size)
    nodes = []
    extents = []
    for at in offsets:
        if not upper <= at <= page_size - _NODE.size:
            raise _Bad(f"a node is said to be at {at}")
        low, high, flags, size = _NODE.unpack_from(raw, at)
        end = at + _NODE.size + size
        if kind == _LEAF:
            if flags & ~(_BIG | _TREE_IN_NODE):
                raise _Bad(f"a node has the flags {flags}")
            end += _NUMBER.size if flags & _BIG else low | high << 16
        nodes.append((at, low, high, flags, size))
        extents.append((at, end + end % 2))
    # Taken together the nodes fill the page, each byte once.
    extents.sort()
    if [upper, *(end for _, end in extents)] != [*(at for at, _ in extents), page_size]:
        raise _Bad("its nodes do not fill it")
    return nodes


def _check_order(keys: list[bytes], first: bytes, behind: bytes, *, is_integer: bool) -> None:
    if is_integer:
        if any(len(key) not in (0, _NUMBER.size) for key in (*keys, first, behind)):
            raise _Bad("a key is no number")
        if any(len(key) != _NUMBER.size for key in keys[1:]):
            raise _Bad("a key is no number")
        ordered = [_NUMBER.unpack(key)[0] if key else -1 for key in (first, *keys, behind)]
        smallest, *numbers, end = ordered
        is_ordered = all(a < b for a, b in pairwise(numbers))
        if not is_ordered or numbers[0] < smallest or (behind and numbers[-1] >= end):
            raise _Bad("its keys are out of order")
        return
    is_ordered = all(a < b for a, b in pairwise(keys))
    if not is_ordered or keys[0] < first or (behind and keys[-1] >= behind):
        raise _Bad("its keys are out of order")


def _free(content: bytes) -> Iterator[int]:
    """Yield the pages that a row of the free list names. Raises _Bad."""
    if len(content) < _NUMBER.size or len(content) % _NUMBER.size:
        raise _Bad("a row of the free list has an odd length")
    count, *numbers = struct.unpack(f"={len(content) // _NUMBER.size}Q", content)
    if count > len(numbers):
        raise _Bad("a row of the free list is too short")
    yield from numbers[:count]
