"""`anys3 store`: a store copied to other engines, moved there while it is served, or taken back."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from anys3.cli import damages, output, progress
from anys3.cli.backups import BESIDE
from anys3.cli.opening import with_store
from anys3.server.audit import Audit, operator
from anys3.server.locations import refusing, require_store
from anys3.server.refusals import Exit, Refusal
from anys3.store import moving, opening
from anys3.store.errors import Corrupt, PauseChanged, Paused
from anys3.store.findings import size
from anys3.store.interface import Store
from anys3.store.opening import Location


def run(arguments: argparse.Namespace) -> int:
    """Run `anys3 store ACTION`. Raises Refusal."""
    if arguments.action == "resume":
        return _resume(arguments)
    source = _location(arguments.source, arguments.from_blobs, "--from-blobs")
    target = _location(arguments.target, arguments.blobs, "--blobs")
    if source.directory is not None:
        require_store(source.directory)
    if _name(source) == _name(target):
        raise Refusal(Exit.USAGE, f"{source} can't be copied onto itself: give another TO")
    try:
        return asyncio.run(_Copying(source, target, arguments).run())
    except KeyboardInterrupt:
        output.remark(_AGAIN)
        raise


_AGAIN = "Run the same command again: it goes on where it was."


def _location(text: str, blobs: str | None, flag: str) -> Location:
    """Return what was typed as a store. Raises Refusal."""
    try:
        if not opening.is_index(text):
            directory = Path(text)
            return Location(directory, blobs=blobs or opening.blobs_of(directory))
        if not blobs:
            raise ValueError(
                f"{Location(index=text)} needs {flag}, too, where its large contents are: {opening.BLOBS_FORM}"
            )
        return Location(index=opening.check_index(text), blobs=blobs)
    except ValueError as error:
        raise Refusal(Exit.USAGE, str(error)) from None


def _name(location: Location) -> str:
    """Return what a store is called in the marks that a copy leaves."""
    return str(location.directory.resolve()) if location.directory else str(location)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{max(seconds, 0.01):.2f} s"


class _Copying:
    """One run of `anys3 store copy`."""

    def __init__(self, source: Location, target: Location, arguments: argparse.Namespace) -> None:
        self._source = source
        self._target = target
        self._follows: bool = arguments.follow
        self._is_json: bool = arguments.json
        self._bar = progress.Bar("copying")
        self._passes = 0

    async def run(self) -> int:
        began = time.monotonic()
        async with _opened(self._source) as ours, _opened(self._target, is_new=True) as theirs:
            copy = moving.Copy(
                ours,
                theirs,
                (_name(self._source), _name(self._target)),
                progress=self._show_progress,
                announce=self._announce,
                today=datetime.now(UTC).date().isoformat(),
            )
            with self._bar, self._refusing():
                report = await copy.run(follows=self._follows)
        if report.is_ready:
            self._copy_beside()
        if report.is_moved:
            details = {"to": _name(self._target)}
            Audit(self._source.directory).note(operator(), "store move", str(self._source), **details)
        seconds = time.monotonic() - began
        if self._is_json:
            output.result_json(self._as_json(report, seconds))
        else:
            self._show(report, seconds)
        return Exit.DAMAGED if report.damaged else Exit.OK

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what the copy raises into a Refusal."""
        try:
            with refusing(self._target):
                try:
                    yield
                except moving.Refused as error:
                    raise self._refusal(error) from None
                except Paused as error:
                    raise Refusal(
                        Exit.CONFLICT, f"another `anys3 store copy` has taken {self._target} over: {error}"
                    ) from None
                except Corrupt as error:
                    raise Refusal(
                        Exit.DAMAGED,
                        f"an index is damaged, so the copy can't go on: {error}; `anys3 scrub` says what else is",
                    ) from None
        except Refusal as refusal:
            if refusal.exit_code in (Exit.DISK, Exit.UNREACHABLE):
                raise Refusal(refusal.exit_code, f"{refusal}. {_AGAIN}") from None
            raise

    def _refusal(self, error: moving.Refused) -> Refusal:
        store = self._target if error.is_of_target else self._source
        if error.in_way is not None:
            advice = f"; `anys3 store resume {shlex.quote(str(store))}` ends that, if you know better"
        else:
            advice = ": give a new TO" if error.is_of_target else f". {_AGAIN}"
        return Refusal(Exit.CONFLICT, f"{store}: {error}{advice}")

    def _show_progress(self, title: str, done: int, total: int) -> None:
        self._bar.update(done, total=total, title=title)

    def _announce(self, estimate_s: float, at_most_s: float) -> None:
        self._bar.close()
        output.remark(
            f"{self._source}: writes will pause for about {_seconds(estimate_s)}, for {at_most_s:.0f} s at most; reads"
            " go on"
        )

    def _copy_beside(self) -> None:
        """Copy what lies beside the index of a directory: clients may trust the certificate."""
        here, there = self._source.directory, self._target.directory
        if here is None or there is None:
            return
        for name in BESIDE:
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                data, mode = (here / name).read_bytes(), (here / name).stat().st_mode & 0o777
                descriptor = os.open(there / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)

    def _show(self, report: moving.Report, seconds: float) -> None:
        last = report.last
        for damage in report.damaged:
            output.result(f"damaged  {damages.where(damage)}: {damage.reason}")
        copied, copied_bytes = (
            sum(getattr(one, name) for one in report.passes) for name in ("copied", "copied_bytes")
        )
        output.result(
            f"{self._target}: {last.buckets} buckets, {last.objects} objects of {size(last.bytes)},"
            f" {last.uploads} unfinished uploads with {last.parts} parts, {last.keys} keys\n"
            f"{copied} contents copied and verified, {size(copied_bytes)}, in {len(report.passes)}"
            f" {'passes' if len(report.passes) > 1 else 'pass'} and {seconds:.1f} s; {len(report.damaged)} damaged"
        )
        for line in self._next(report):
            output.result(line)

    def _next(self, report: moving.Report) -> Iterator[str]:
        """Yield what the person should know and do now."""
        if report.damaged:
            yield (
                f"{self._target} can't be served yet: restore or delete what is damaged, and run the same command"
                f" again; or take it without, by `anys3 store resume {shlex.quote(str(self._target))}`"
            )
            return
        if report.is_moved:
            yield f"{self._source}: writes paused for {_seconds(report.paused_s)}, and are not taken any more"
        elif report.left:
            yield (
                f"{self._source} was written to meanwhile: {report.left} differences. This is no copy of one moment;"
                " --follow makes one"
            )
        yield f"now:  {self._serve()}"

    def _serve(self) -> str:
        """Return the command that serves the copy; passwords are left to be filled in."""
        words = ["anys3", "serve"]
        words += ["--index", str(self._target)] if self._target.index else [str(self._target)]
        words += ["--blobs", self._target.shown_blobs] if self._target.blobs else []
        return shlex.join(words)

    def _as_json(self, report: moving.Report, seconds: float) -> dict[str, object]:
        last = report.last
        return {
            "is_ready": report.is_ready,
            "is_moved": report.is_moved,
            "differences_left": report.left,
            "buckets": last.buckets,
            "objects": last.objects,
            "bytes": last.bytes,
            "uploads": last.uploads,
            "parts": last.parts,
            "keys": last.keys,
            "passes": [
                {
                    "seconds": round(one.seconds, 3),
                    "changes": one.changes,
                    "copied": one.copied,
                    "copied_bytes": one.copied_bytes,
                    "removed": one.removed,
                }
                for one in report.passes
            ],
            "pause": {"estimate": round(report.estimate_s, 3), "seconds": round(report.paused_s, 3)},
            "seconds": round(seconds, 3),
            "damaged": [damages.as_json(damage) for damage in report.damaged],
            "serve": self._serve(),
        }


@contextlib.asynccontextmanager
async def _opened(location: Location, *, is_new: bool = False) -> AsyncIterator[Store]:
    with refusing(location):
        store = await opening.open_whole(location, is_new=is_new)
    try:
        yield store
    finally:
        await store.close()


def _resume(arguments: argparse.Namespace) -> int:
    text: str = arguments.store
    location = Location(index=text) if opening.is_index(text) else Location(Path(text))

    async def command(store: Store) -> int:
        pause = await store.paused()
        if pause is not None:
            try:
                await store.resume(pause)
            except PauseChanged as error:
                raise Refusal(Exit.CONFLICT, f"{location} was paused anew just now: {error}") from None
            Audit(location.directory).note(operator(), "store resume", str(location), reason=pause.reason)
        if arguments.json:
            output.result_json({"was_paused": pause is not None, "reason": pause.reason if pause else ""})
        elif pause is None:
            output.result(f"{location} takes changes already")
        else:
            output.result(f"{location} takes changes again. It took none, since {pause.reason}")
        return Exit.OK

    return with_store(location, command)
