"""The named steps of the commit and blob protocol, and how a server is made to end at one of them.

    python -m tests.torture.server --with 'tests.torture.crash.steps:kill_at=blob linked, after:3' serve DIR

A **seam** is a function of the server; before it is called, or after it has returned, is a **step**. Each is
wrapped where its caller looks it up, in the server's own process, before any worker is forked.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.torture.crash.plan import Plan

_STORE = "anys3.store.embedded."
_here = threading.local()


class Seam(NamedTuple):
    """One function, and which of its calls count."""

    name: str
    place: str
    """`module:attribute.attribute`, the module below anys3.store.embedded unless it begins with anys3."""
    when: str = "before after"
    phase: str = "run"
    """When a server comes here: "run", at the "start" after a kill, at the "first" start, at the "stop",
    in a "guest": a command line beside the server."""
    mode: str = ""
    """The durability in which it comes here, if only in one."""
    applies: Callable[..., bool] = lambda *_, **__: True


def _to_incoming(_: Any, path: Any) -> bool:
    return "incoming" in Path(path).parts


def _to_final(_: Any, path: Any) -> bool:
    return "blobs" in Path(path).parts


def _is_incoming(path: Path) -> bool:
    return "incoming" in path.parts


def _is_blob(path: Path) -> bool:
    return "blobs" in path.parts


def _is_named(*_: Any, is_named: bool) -> bool:
    return is_named


def _waits(written: Any) -> bool:
    return getattr(written, "_state", "") == "waiting"


def _has_file(writer: Any) -> bool:
    return writer._incoming is not None and writer._written is None


def _cleans(path: Path, **_: Any) -> bool:
    return getattr(_here, "is_cleaning", False) and _is_incoming(path)


SEAMS = (
    # a content on its way to its final name
    Seam("id block reserved", "opened:_reserve_ids"),
    Seam("blob created", "blobs:device.create"),
    Seam("blob written", "blobs:device.write_at"),
    Seam("blob cut to its size", "blobs:os.truncate", "after"),
    Seam("blob synced", "blobs:device.sync_file", "before after", "run", "durable"),
    Seam("blob linked", "blobs:os.link", applies=_to_final),
    Seam("copy linked", "blobs:os.link", "before after", applies=_to_incoming),
    Seam("directory synced", "blobs:device.sync_directory", "before after", "run", "durable"),
    Seam("unfinished blob discarded", "blobs:BlobWriter.discard", applies=_has_file),
    Seam("finished blob discarded", "blobs:Written.discard", applies=_waits),
    # a transaction
    Seam("transaction begun", "changes:Batch.__init__", "after"),
    Seam("content claimed", "blobs:Written.claim", "after"),
    Seam("content kept", "changes:Batch.keep", "after"),
    Seam("content freed", "changes:Batch.free"),
    Seam("outbox row put", "changes:Batch.put_freed", "after"),
    Seam("object put", "changes:_APPLY.PutEntry"),
    Seam("object deleted", "changes:_APPLY.DeleteEntry"),
    Seam("upload put", "changes:_APPLY.PutUpload"),
    Seam("part put", "changes:_APPLY.PutPart"),
    Seam("upload completed", "changes:_APPLY.CompleteUpload"),
    Seam("upload aborted", "changes:_APPLY.AbortUpload"),
    Seam("bucket created", "configuration:create_bucket"),
    Seam("bucket updated", "configuration:update_bucket"),
    Seam("bucket deleted", "configuration:delete_bucket"),
    Seam("counters written", "changes:Batch.finish"),
    Seam("committed", "committer:Committer._settle", applies=_is_named),
    Seam("generation told", "control:Control.tell_generation"),
    Seam("handed to the loop", "committer:_answer"),
    Seam("answers due", "committer:_settle"),
    Seam("answer sent", "anys3.server.protocol:HttpProtocol._answer"),
    # what follows it
    Seam("incoming name removed", "janitor:blobs.remove", applies=_is_incoming),
    Seam("freed blob removed", "janitor:blobs.remove", applies=_is_blob),
    Seam("group of parts removed", "janitor:Janitor._remove_group", "after"),
    Seam("outbox row deleted", "janitor:_delete_rows"),
    Seam("outbox step committed", "janitor:Janitor._remove_some", "after"),
    # the relaxed mode
    Seam("checkpoint taken", "checkpoints:Checkpointer.take", "before after", "run", "relaxed"),
    Seam("checkpoint's moment held", "checkpoints:_Held.__init__", "after", "run", "relaxed"),
    Seam("file system synced", "checkpoints:device.sync_file_system", "before after", "run", "relaxed"),
    Seam("checkpoint written", "checkpoints:write", "before after", "run", "relaxed"),
    Seam("checkpoint renamed", "checkpoints:device.sync_directory", "before", "run", "relaxed"),
    Seam("old checkpoint let go", "checkpoints:_Held.let_go", "before after", "run", "relaxed"),
    # a start after a kill
    Seam("recovery", "anys3.store.embedded:recover", "before after", "start"),
    Seam("slot cleaned", "recovery:clean_incoming", "before after", "start"),
    Seam("left name removed", "recovery:Path.unlink", "before after", "start", applies=_cleans),
    Seam("left blob removed", "recovery:blobs.remove", "before after", "start"),
    Seam("checkpoint settled", "recovery:checkpoints.settle", "before after", "start"),
    Seam("checkpoints forgotten", "recovery:checkpoints.forget", "before after", "start"),
    Seam("index opened", "index:Index.__init__", "before after", "start"),
    Seam("slot taken", "control:Control.__init__", "after", "start"),
    Seam("store opened", "engine:EmbeddedStore.__init__", "after", "start"),
    Seam("worker ready", "anys3.server.workers:_tell", "before after", "start"),
    # the first start of all
    Seam("store marked", "directory:_mark", "before after", "first"),
    Seam("store laid out", "directory:lay_out", "before after", "first"),
    Seam("index made", "creation:os.link", "before after", "first"),
    Seam("counting begun", "index:Index._begin_counting", "before after", "first"),
    Seam("root key settled", "anys3.server.credentials:settle_root_key", "before after", "first"),
    Seam("credentials replaced", "anys3.server.credentials:Path.replace", "before after", "first"),
    # an orderly stop
    Seam("store shut", "engine:EmbeddedStore.shut", "before after", "stop"),
    Seam("janitor closed", "janitor:Janitor.close", "before after", "stop"),
    Seam("committer closed", "committer:Committer.close", "before after", "stop"),
    Seam("files closed", "blobs:Files.close", "after", "stop"),
    Seam("checkpoints closed", "checkpoints:Checkpointer.close", "before after", "stop", "relaxed"),
    # a command line beside the server
    Seam("key put", "configuration:put_key", "before after", "guest"),
    Seam("key deleted", "configuration:delete_key", "before after", "guest"),
)


class Step(NamedTuple):
    """One moment: its name is that of its seam and "before" or "after"."""

    number: int
    name: str
    seam: Seam


def table(*seams: Seam) -> dict[str, Step]:
    """Return all steps of seams by name; one without `when` is a step itself."""
    names = [(f"{seam.name}, {when}", seam) for seam in seams for when in seam.when.split()]
    names += [(seam.name, seam) for seam in seams if not seam.when]
    return {name: Step(number, name, seam) for number, (name, seam) in enumerate(names, 1)}


STEPS = table(*SEAMS, Seam("blob half written", "", ""))
"""All steps by name."""


def steps_of(phase: str, mode: str) -> list[Step]:
    """Return the steps that a server of that durability comes to in that phase."""
    return [step for step in STEPS.values() if step.seam.phase == phase and step.seam.mode in ("", mode)]


def follow(file: str) -> None:
    """Wrap all seams; the plan in that file says where to end."""
    _install(Plan(Path(file)))


def kill_at(text: str) -> None:
    """Wrap all seams and end the process group at `NAME:N`: the N-th time that a step is reached."""
    name, _, times = text.rpartition(":")
    plan = Plan(None)
    plan.arm(STEPS[name].number, int(times))
    _install(plan)


def _install(plan: Plan) -> None:
    if os.getpgrp() != os.getpid():
        raise SystemExit("the server must lead a process group of its own: ending it would end others")
    for seam in SEAMS:
        wrap(seam, STEPS, plan)
    _halve_writes(plan)


def wrap(seam: Seam, steps: Mapping[str, Step], plan: Plan) -> None:
    """Put a seam's steps around its function."""
    module_name, _, path = seam.place.partition(":")
    module = importlib.import_module(
        module_name if module_name.startswith("anys3.") else _STORE + module_name
    )
    owner: Any = module
    *above, name = path.split(".")
    for part in above:
        owner = _own(owner, part) if owner is module else getattr(owner, part)
    if isinstance(owner, dict):
        (key,) = (one for one in owner if one.__name__ == name)
        owner[key] = _around(seam, owner[key], steps, plan)
    else:
        setattr(owner, name, _around(seam, getattr(owner, name), steps, plan))


def _own(module: Any, name: str) -> Any:
    """Return what a module calls `name`; another module is first replaced by a view of this one's own."""
    found = getattr(module, name)
    if inspect.ismodule(found):  # (else it is one already, or a planted one)
        found = _View(found)
        setattr(module, name, found)
    elif found is Path:
        found = type(Path())
        found = type("Path", (found,), {"__slots__": ()})
        setattr(module, name, found)
    return found


class _View:
    """A module as one other module sees it."""

    def __init__(self, module: Any) -> None:
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _around(seam: Seam, original: Any, steps: Mapping[str, Step], plan: Plan) -> Any:
    before, after = (steps.get(f"{seam.name}, {when}") for when in ("before", "after"))

    def enter(arguments: Any, named: Any) -> bool:
        is_one = seam.applies(*arguments, **named)
        if is_one and before:
            plan.reached(before.number)
        return is_one

    def leave(is_one: bool) -> None:
        if is_one and after:
            plan.reached(after.number)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def waiting(*arguments: Any, **named: Any) -> Any:
            is_one = enter(arguments, named)
            result = await original(*arguments, **named)
            leave(is_one)
            return result

        return waiting

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        is_one = enter(arguments, named)
        if seam.name == "slot cleaned":
            _here.is_cleaning = True
        result = original(*arguments, **named)
        if seam.name == "slot cleaned":
            _here.is_cleaning = False
        leave(is_one)
        return result

    return wrapped


def _halve_writes(plan: Plan) -> None:
    """Make each write of a blob two, with a step between them."""
    blobs = importlib.import_module(_STORE + "blobs")
    write_at, number = blobs.device.write_at, STEPS["blob half written"].number

    def in_halves(descriptor: int, data: memoryview, offset: int) -> None:
        half = len(data) // 2 // 4096 * 4096
        if half:
            write_at(descriptor, data[:half], offset)
            plan.reached(number)
        write_at(descriptor, data[half:], offset + half)

    blobs.device.write_at = in_halves
