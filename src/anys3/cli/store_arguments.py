"""What can be typed after `anys3 store`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from anys3.cli.place_arguments import blobs, place

COPY_EXAMPLES = """\
examples:
  anys3 store copy data /mnt/new --follow       to another disk, while `anys3 serve data` goes on
  anys3 store copy data postgresql://anys3@db1,db2/anys3 --blobs rados://anys3 --follow
                                                out of one machine: index in PostgreSQL, blobs in Ceph
  anys3 store copy postgresql://anys3@db1,db2/anys3 data --from-blobs rados://anys3 --follow
                                                and back again
  anys3 store copy data /mnt/copy               a copy; FROM stays as it is

FROM and TO are directories, or URLs of an index with --from-blobs or --blobs for the large contents. All goes
along: objects with their headers, tags, parts and checksums, unfinished uploads, buckets and their settings, keys.
TO has to be empty. Until the copy is finished nobody can serve it.

Every byte is read through the checksums of FROM, compared with the object's MD5 and with the checksum it was
uploaded with, and written with the checksums of TO. What is damaged is named, and the exit code is 12.

Without --follow, FROM is copied once: it is a copy of one moment only if nobody writes meanwhile.
With --follow it is copied, compared once more, and then what is changed is copied again and again, until that is
little. Then it says for how long writes will have to wait, lets FROM answer all of them with 503 and Retry-After
(reads go on), copies the rest, and leaves FROM read-only for good. Serve TO then. If it fails or is ended before that, FROM goes on as before:
a pause has an end of its own, too.

Cut short, it goes on where it was when you run the same command again: nothing is kept but what is in TO.
"""

RESUME_EXAMPLES = """\
examples:
  anys3 store resume data                       writes to a store that was moved away are taken again
  anys3 store resume postgresql://anys3@db1/anys3

A store takes no changes after `anys3 store copy --follow` has moved it, or while it is the half of a copy. This ends
that. From then on a store and what was moved out of it go apart: nothing brings them together again.
"""

_FORM = "a directory, or postgresql://USER@HOST/DATABASE"
_BLOBS = "rados://POOL?conf=FILE, s3://BUCKET/PREFIX?endpoint=URL or file:DIR"


def add_store(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `store copy` and `store resume`; `command` makes a parser."""
    parser = command(commands, "store", "copy a store, or move it to other engines", "anys3 store ACTION ...")
    actions = parser.add_subparsers(prog="anys3 store", dest="action", metavar="ACTION", required=True)
    copy = command(
        actions,
        "copy",
        "copy a store to a new one, or with --follow move it there while it is served",
        "anys3 store copy FROM TO [--follow] [--blobs URL] [--from-blobs URL] [OPTIONS]",
        COPY_EXAMPLES,
    )
    copy.add_argument("source", type=place, metavar="FROM", help=f"the store: {_FORM}")
    copy.add_argument("target", type=place, metavar="TO", help=f"the new one: {_FORM}")
    copy.add_argument("--follow", action="store_true", help="until TO has all of it, then FROM is read-only")
    copy.add_argument("--blobs", type=blobs, metavar="URL", help=f"where TO keeps large contents: {_BLOBS}")
    copy.add_argument(
        "--from-blobs",
        type=blobs,
        metavar="URL",
        help="where FROM keeps them (default: where its directory says)",
    )
    resume = command(
        actions,
        "resume",
        "let a store take changes again",
        "anys3 store resume STORE [OPTIONS]",
        RESUME_EXAMPLES,
    )
    resume.add_argument("store", type=place, metavar="STORE", help=_FORM)
    for action in (copy, resume):
        action.add_argument("--json", action="store_true", help="print JSON for machines on stdout")
