"""What can be typed: the parsers of every command, with a help that teaches by examples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import anys3
from anys3.cli.check_arguments import add_check
from anys3.cli.place_arguments import add_common, add_place, blobs, directory, index, place, typed
from anys3.cli.store_arguments import add_store
from anys3.server.options import OPTIONS, Option
from anys3.server.refusals import MEANINGS

EXAMPLES = """\
start here:
  anys3 serve                         S3 on http://127.0.0.1:9000, everything kept in ./data
  anys3 key create app --bucket photos --read --write
                                      a key for one application and one bucket
  anys3 check https://s3.example.com  which tier an endpoint meets, and what it breaks
  anys3 spec explain PUT-03           what a requirement says, and why
  anys3 bucket public site            let everyone read the objects of a bucket
  anys3 backup data /mnt/backup/s3    a copy of one moment, while the server runs
  anys3 store copy data /mnt/new --follow
                                      move it all to other disks or engines, while the server runs
  anys3 doctor data                   what is wrong here, or soon will be, and what to do about it

exit codes (`anys3 check` has its own):
"""

SERVE_EXAMPLES = """\
examples:
  anys3 serve                         the store in ./data, on http://127.0.0.1:9000
  anys3 serve /srv/s3 --tls-cert fullchain.pem --tls-key privkey.pem --listen 0.0.0.0:443
  anys3 serve --memory --buckets photos,site:public
                                      for an afternoon: two buckets, forgotten at the end
  anys3 serve --listen 0.0.0.0:9000 --plain-http
                                      behind a proxy that speaks TLS and keeps the Host header
  anys3 serve --profile tier-1        strict mode: what does my application need?
  ANYS3_INDEX=postgresql://anys3@db/anys3 anys3 serve --blobs 'rados://anys3?conf=/etc/ceph/ceph.conf'
                                      one of any number of servers of one store (docs/cluster.md)

Every flag can also be set as ANYS3_FLAG (for example ANYS3_LISTEN, ANYS3_TLS_CERT) and as a line of
anys3.toml in the current directory (listen = "127.0.0.1:9000", memory = true, buckets = ["photos"]).
Flags win over the environment, and the environment over the file.

The root key is made at the first start and kept in DIR/credentials, or in the index alone where --index is
given. To choose it yourself, set ANYS3_ACCESS_KEY_ID and ANYS3_SECRET_ACCESS_KEY, on all servers (MINIO_ROOT_USER
and MINIO_ROOT_PASSWORD work too).

signals: SIGTERM and SIGINT finish what is in flight and stop; SIGHUP reads the certificate again.
"""

KEY_EXAMPLES = """\
examples:
  anys3 key create app --bucket photos --read --write
  anys3 key create backup --bucket photos --bucket site --read
  anys3 key create ci --create-buckets      owns the buckets that it creates, and sees no others
  anys3 key create app --bucket photos --read --json
  anys3 key rotate root                     a new secret for the root key

A running server obeys at once. A secret is shown once, by create and rotate.
"""

BUCKET_EXAMPLES = """\
examples:
  anys3 bucket create photos
  anys3 bucket public site                  everyone may GET and HEAD its objects; never LIST or write
  anys3 bucket public site --off
  anys3 bucket cors site --allow-origin https://example.com --allow-method GET --allow-method PUT
  anys3 bucket cors site rules.json         the format of `aws s3api put-bucket-cors`
  anys3 bucket cors site --clear

A running server obeys at once.
"""

SCRUB_EXAMPLES = """\
Reads each page of the index, each row, and each object to its last byte. A server may run meanwhile; nothing
is changed. For each damage it says which object, upload or part is affected, and in which file it lies; at the
end what to do next. The exit code is 12 if something is damaged or missing; orphans (files and rows that
nothing names) only take room. With --json: kind is "content", "row" (of the index) or "page" (of the index).

examples:
  anys3 scrub /srv/s3
  anys3 scrub /srv/s3 --json | jq -r '.damaged[] | "\\(.bucket)/\\(.key)"'"""
BACKUP_EXAMPLES = """\
examples:
  anys3 backup data /mnt/backup/s3          again into the same DEST: only what is new is copied
  anys3 backup data /mnt/backup/s3 --json   what was copied, kept and removed, and the moment of the copy
  anys3 serve /mnt/backup/s3                a backup is a store like any other: serve it, or copy it back

A server may run meanwhile, with any number of workers. Every blob that is copied is verified. The exit code
is 12 if some were damaged or missing; all others are in the backup then. DEST changes at once, at the end: a
run that is cut short leaves the earlier backup, or nothing that could be taken for one; run it again.
"""

DOCTOR_EXAMPLES = """\
examples:
  anys3 doctor                              the store in ./data
  anys3 doctor data --json                  for a monitor: every finding with its id and level
  anys3 doctor data --tls-cert fullchain.pem
  anys3 doctor --index postgresql://anys3@db1,db2,db3/anys3 --blobs rados://anys3?id=anys3
                                            what other machines keep for the servers (ANYS3_INDEX, ANYS3_BLOBS)
  anys3 doctor https://s3.example.com       reached, certificate, clock, and who the credentials are
  anys3 doctor http://127.0.0.1:9000 --profile local

Levels: ok, note (worth knowing), warning (will be a problem), problem (is one). The exit code is 13 from a
warning on. Nothing is changed; a file in DIR, or a small blob, is written and removed to see how long that takes.
"""

SPEC_EXAMPLES = """\
examples:
  anys3 spec show                           the tiers, profiles and operations
  anys3 spec show tier-2                    what a tier asks for; also of a profile or an operation
  anys3 spec explain PUT-03 CPL-07          a requirement: text, expected answer, why, evidence, checks
  anys3 spec export spec                    pages, JSON, a Smithy model and an OpenAPI document

--tiers takes another cut of the profiles into tiers: a file in the form of the spec's tiers.toml, or the name
of one that comes with anys3 (rfc-june).
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are typed, in lines of at most 100 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    codes = "".join(f"  {code.value:<4}{meaning}\n" for code, meaning in MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="anys3",
        usage="anys3 [--version] COMMAND ...",
        description="Portable object storage: an S3 server, a judge of S3 endpoints, and the spec for both.",
        epilog=EXAMPLES + codes,
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"anys3 {anys3.__version__}")
    commands = parser.add_subparsers(prog="anys3", dest="command", metavar="COMMAND", required=True)
    _add_serve(commands)
    add_check(commands, _command)
    _add_key(commands)
    _add_bucket(commands)
    _add_scrub(commands)
    _add_backup(commands)
    add_store(commands, _command)
    _add_doctor(commands)
    _add_spec(commands)
    return parser


def _command(commands: Any, name: str, summary: str, usage: str, epilog: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        usage=usage,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=Help,
        allow_abbrev=False,
    )
    return parser


def _add_serve(commands: Any) -> None:
    parser = _command(
        commands, "serve", "serve S3 from a directory", "anys3 serve [DIR] [OPTIONS]", SERVE_EXAMPLES
    )
    for option in OPTIONS:
        _add_option(parser, option)
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of ./anys3.toml")


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    """Add one setting; without a default, so that what was not typed is absent."""
    absent: Any = argparse.SUPPRESS
    if option.name == "dir":
        parser.add_argument("dir", nargs="?", type=directory, metavar="DIR", help=option.help)
    elif option.name in {"sigv2", "explain_signatures"}:
        action = argparse.BooleanOptionalAction
        parser.add_argument(option.flag, action=action, default=absent, help=option.help)
    elif option.is_switch:
        parser.add_argument(option.flag, action="store_true", default=absent, help=option.help)
    else:
        kind = typed(option.parse)
        action_name = "append" if option.is_list and option.name != "buckets" else "store"
        if option.name == "buckets":
            kind = typed(lambda text: [option.parse(item) for item in text.split(",") if item.strip()])
        parser.add_argument(
            option.flag,
            action=action_name,
            default=absent,
            type=kind,
            metavar=option.metavar,
            help=option.help,
        )
    if option.name == "annex":
        parser.add_argument(
            "--no-annex",
            dest="annex",
            action="store_const",
            const=frozenset(),
            default=absent,
            help="the same as --annex none",
        )


def _add_key(commands: Any) -> None:
    parser = _command(commands, "key", "keys and what they may do", "anys3 key ACTION ...", KEY_EXAMPLES)
    actions = parser.add_subparsers(prog="anys3 key", dest="action", metavar="ACTION", required=True)
    create = _command(
        actions,
        "create",
        "make a key pair and show it",
        "anys3 key create NAME [--bucket B [--bucket C ...] --read --write --owner] [--create-buckets]",
        KEY_EXAMPLES,
    )
    create.add_argument("name", metavar="NAME", help="what the key is for; unique in the store")
    create.add_argument(
        "--bucket",
        action="append",
        default=[],
        metavar="B",
        help="grant the rights that follow in this bucket; may be repeated",
    )
    create.add_argument("--read", action="store_true", help="get and list objects")
    create.add_argument("--write", action="store_true", help="put, copy and delete objects")
    create.add_argument("--owner", action="store_true", help="read, write, and change the bucket's settings")
    create.add_argument(
        "--create-buckets", action="store_true", help="may create buckets, and owns those that it creates"
    )
    add_place(create)
    add_place(_command(actions, "list", "list the keys, without secrets", "anys3 key list [OPTIONS]"))
    for name, summary in (
        ("info", "show a key and its grants, without the secret"),
        ("delete", "delete a key; it is refused from then on"),
        ("rotate", "give a key a new secret under the same id, and show it"),
    ):
        action = _command(actions, name, summary, f"anys3 key {name} NAME [OPTIONS]")
        action.add_argument("name", metavar="NAME", help="the key's name or access key id")
        add_place(action)


def _add_bucket(commands: Any) -> None:
    parser = _command(
        commands, "bucket", "buckets and their settings", "anys3 bucket ACTION ...", BUCKET_EXAMPLES
    )
    actions = parser.add_subparsers(prog="anys3 bucket", dest="action", metavar="ACTION", required=True)
    add_place(_command(actions, "list", "list the buckets", "anys3 bucket list [OPTIONS]"))
    for name, summary in (
        ("create", "make a bucket that the root key owns"),
        ("info", "show a bucket, its settings and who may use it"),
        ("public", "let everyone read a bucket's objects, or end that"),
        ("cors", "show or set the CORS rules that browsers ask for"),
        ("delete", "delete an empty bucket"),
    ):
        usage = f"anys3 bucket {name} NAME [OPTIONS]"
        action = _command(
            actions, name, summary, usage, BUCKET_EXAMPLES if name in {"public", "cors"} else ""
        )
        action.add_argument("name", metavar="NAME", help="the bucket's name")
        if name == "public":
            action.add_argument("--off", action="store_true", help="only keys with a grant, from now on")
        elif name == "cors":
            _add_cors(action)
        add_place(action)


def _add_cors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="rules as JSON")
    for flag, metavar, text in (
        ("--allow-origin", "ORIGIN", "one rule: an origin such as https://example.com, or *"),
        ("--allow-method", "METHOD", "its methods (default: GET and HEAD)"),
        ("--allow-header", "NAME", "its request headers (default: *)"),
        ("--expose-header", "NAME", "answer headers that a page may read (default: ETag)"),
    ):
        parser.add_argument(
            flag, action="append", default=[], metavar=metavar, help=text + "; may be repeated"
        )
    parser.add_argument("--max-age", type=int, metavar="SECONDS", help="how long a browser may remember")
    parser.add_argument("--clear", action="store_true", help="no rules any more")


def _add_scrub(commands: Any) -> None:
    parser = _command(
        commands,
        "scrub",
        "verify every checksum of a store and report what is damaged",
        "anys3 scrub [DIR] [OPTIONS]",
        SCRUB_EXAMPLES,
    )
    parser.add_argument("directory", nargs="?", type=directory, metavar="DIR", help="the store's directory")
    add_common(parser)


def _add_backup(commands: Any) -> None:
    parser = _command(
        commands,
        "backup",
        "copy a store at one moment, also while it is served",
        "anys3 backup DIR DEST [OPTIONS]",
        BACKUP_EXAMPLES,
    )
    parser.add_argument("directory", type=directory, metavar="DIR", help="the store's directory")
    parser.add_argument(
        "destination",
        type=directory,
        metavar="DEST",
        help="a new directory, or an earlier backup of the same store",
    )
    parser.add_argument(
        "--link",
        action="store_true",
        help="hard links instead of copies, on one file system: fast, but damage of one is damage of both",
    )
    parser.add_argument(
        "--index-only",
        action="store_true",
        help="of a store served with --blobs: copy the index; large contents need a backup where they lie",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines on stdout")


def _add_doctor(commands: Any) -> None:
    parser = _command(
        commands,
        "doctor",
        "examine a store, its engines or an endpoint, and say what to do",
        "anys3 doctor [DIR | URL] [OPTIONS]",
        DOCTOR_EXAMPLES,
    )
    parser.add_argument(
        "what",
        nargs="?",
        type=place,
        metavar="DIR|URL",
        help="a store's directory (default: ANYS3_DIR, else ./data), or http://... or https://...",
    )
    parser.add_argument(
        "--index", type=index, metavar="URL", help="examine the database of an index (or ANYS3_INDEX)"
    )
    parser.add_argument(
        "--blobs", type=blobs, metavar="URL", help="examine what keeps large contents (or ANYS3_BLOBS)"
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="DIR: also examine this certificate chain, PEM"
    )
    parser.add_argument("--profile", metavar="NAME", help="URL: the profile of the shared credentials file")
    parser.add_argument("--region", metavar="NAME", help="URL: sign for this region")
    parser.add_argument("--ca-file", metavar="FILE", help="URL: trust these certificates, PEM")
    parser.add_argument("--json", action="store_true", help="print JSON for machines on stdout")


def _add_spec(commands: Any) -> None:
    parser = _command(
        commands, "spec", "read the spec, or write it as files", "anys3 spec ACTION ...", SPEC_EXAMPLES
    )
    actions = parser.add_subparsers(prog="anys3 spec", dest="action", metavar="ACTION", required=True)
    show = _command(
        actions, "show", "show a tier, a profile or an operation", "anys3 spec show [NAME] [OPTIONS]"
    )
    show.add_argument("name", nargs="?", metavar="NAME", help="its name; without one, all names")
    explain = _command(
        actions, "explain", "tell what is known of requirements", "anys3 spec explain ID... [OPTIONS]"
    )
    explain.add_argument("ids", nargs="+", metavar="ID", help="a requirement's id, such as PUT-03")
    export = _command(
        actions, "export", "write the spec as files into a directory", "anys3 spec export DIR [OPTIONS]"
    )
    export.add_argument("directory", type=Path, metavar="DIR", help="made if missing; nothing is removed")
    for action in (show, explain, export):
        action.add_argument(
            "--tiers", metavar="FILE", help="another cut into tiers: a file, or the name rfc-june"
        )
    for action in (show, explain):
        action.add_argument("--json", action="store_true", help="print JSON for machines on stdout")
