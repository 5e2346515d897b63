"""Workers and whole servers that die, can't start, or can't go on: the others serve, nothing acknowledged is lost."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anys3.server.refusals import Exit
from tests.processes import Connections, ServerProcess, signed
from tests.rawclient import RawClient
from tests.torture.faults.ground import HUGE, LARGE, SMALL, body
from tests.torture.faults.injector import Plan, Rule
from tests.torture.faults.matrix import META_PAGE, processes

PATIENCE_S = 30.0


class Load:
    """Writers that keep what was acknowledged to them: objects of both kinds, each with a name of its own."""

    def __init__(self, s3: RawClient, bucket: str, count: int = 3) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.acknowledged: dict[str, bytes] = {}
        self.strange: list[str] = []
        self._is_over = threading.Event()
        s3.request("PUT", f"/{bucket}")
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(count)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        at = 0
        while not self._is_over.is_set():
            at += 1
            path = f"/{self.bucket}/{number}-{at}"
            data = body(LARGE if at % 5 == 0 else SMALL, path)
            try:
                answer = self.s3.request("PUT", path, body=data)
            except OSError:
                time.sleep(0.02)
                continue
            if answer.status == 200:
                self.acknowledged[path] = data
            elif answer.status != 503:
                self.strange.append(f"{path}: {answer.verdict}")

    def wait_for(self, more: int) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal)

    def lost(self) -> list[str]:
        """Return what is wrong: acknowledged and not there, and answers that should not be."""
        gone = [path for path, data in self.acknowledged.items() if self.s3.request("GET", path).body != data]
        return [*self.strange, *(f"{path} was acknowledged, and is lost" for path in gone)]


def wait_until(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Wait, and say whether it came about."""
    limit = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True


def log_of(server: ServerProcess) -> str:
    """Return what the server has logged."""
    return server.directory.with_suffix(".log").read_text()


def workers_of(server: ServerProcess) -> set[int]:
    """Return the workers' processes."""
    return set(processes(server)[1:])


def _is_back(server: ServerProcess, count: int, without: set[int]) -> bool:
    found = workers_of(server)
    return len(found) == count and not found & without


def killed_workers(
    server: ServerProcess, count: int, kills: int, patience_s: float = PATIENCE_S
) -> list[str]:
    """Kill one worker after the other under load: only its connections break, another takes its place."""
    found: list[str] = []
    request = signed(server.s3, "GET", "/")
    with Load(server.s3, "killed") as load:
        for number in range(kills):
            load.wait_for(10)
            with Connections(server.s3, 12) as idle:
                before = [
                    answer.headers["x-amz-request-id"][:8] for answer in idle.burst([request] * 12, "GET")
                ]
                victim = sorted(workers_of(server))[number % count]
                os.kill(victim, signal.SIGSEGV if number % 3 == 2 else signal.SIGKILL)
                broken = {
                    before[at]
                    for at, connection in enumerate(idle._sockets)
                    if not _still_answers(connection, request)
                }
            if len(broken) > 1:
                found.append(f"kill {number}: connections of {len(broken)} workers broke")
            if not wait_until(lambda victim=victim: _is_back(server, count, {victim}), patience_s):  # type: ignore[misc]
                found.append(f"kill {number}: no new worker: {log_of(server)[-500:]}")
                return found
    return found + load.lost()


def _still_answers(connection: object, request: bytes) -> bool:
    from tests.rawclient import read_response

    try:
        connection.sendall(request)  # type: ignore[attr-defined]
        return read_response(connection, "GET").status == 200  # type: ignore[arg-type]
    except OSError:
        return False


def crash_loop(server: ServerProcess, plan: Plan, count: int) -> list[str]:
    """A worker that can't start is tried again, ever later; the others serve; at last it starts."""
    found: list[str] = []
    begun = len(log_of(server))
    plan.set(Rule("open", "/control", errno.EACCES))
    victim = min(workers_of(server))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: log_of(server)[begun:].count("restarting in") >= 4)
    if not plan.clear():
        found.append("the fault was never met: an error of the harness")
    told = re.findall(r"restarting in ([\d.]+) s", log_of(server)[begun:])[:4]
    delays = [float(text) for text in told]
    if len(delays) < 4 or sorted(delays) != delays or delays[-1] < 0.4:
        found.append(f"a worker that can't start was tried again after {delays} s")
    if "Traceback" in log_of(server)[begun:]:
        found.append(f"a traceback for a worker that can't start: {log_of(server)[-900:]}")
    if server.s3.request("PUT", "/killed/meanwhile", body=b"x").status != 200:
        found.append("the others did not serve")
    if not wait_until(lambda: _is_back(server, count, {victim})):
        found.append("the worker did not come back")
    return found


def killed_supervisor(server: ServerProcess) -> list[str]:
    """Without their supervisor the workers end, in good order, and the next server finds everything."""
    with Load(server.s3, "orphans") as load:
        load.wait_for(20)
        workers = workers_of(server)
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait(PATIENCE_S)  # type: ignore[union-attr]
        ended = wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.start()
    return ([] if ended else ["the workers outlive their supervisor"]) + load.lost()


def failed_meta_page(server: ServerProcess, plan: Plan, count: int, times: int = 1) -> list[str]:
    """A meta page can't be written: who met it is refused, its worker ends and says why, the next one serves."""
    found: list[str] = []
    with Load(server.s3, "meta") as load:
        for number in range(times):
            load.wait_for(10)
            before, ended = workers_of(server), log_of(server).count("ended with 5")
            plan.set(*META_PAGE.rules)
            if not wait_until(lambda ended=ended: log_of(server).count("ended with 5") > ended):  # type: ignore[misc]
                found.append(f"no worker ended, though its index is of no use any more ({number})")
            if not plan.clear():
                found.append("the fault was never met: an error of the harness")
            wait_until(lambda before=before: len(workers_of(server)) == count)  # type: ignore[misc]
        load.wait_for(10)
    return found + load.lost()


def failed_meta_page_alone(server: ServerProcess, plan: Plan, patience_s: float = PATIENCE_S) -> list[str]:
    """A server of one process ends, with a message and exit code 5; the next start finds what was acknowledged."""
    found: list[str] = []
    with Load(server.s3, "alone") as load:
        load.wait_for(10)
        plan.set(*META_PAGE.rules)
        process = server._process
        assert process is not None
        if not wait_until(lambda: process.poll() is not None, patience_s):
            found.append("the server goes on, though its index is of no use any more")
            server.kill()
        elif process.returncode != Exit.DISK:
            found.append(f"the server ended with {process.returncode}, not {int(Exit.DISK)}")
        if not plan.clear():
            found.append("the fault was never met: an error of the harness")
    if "has to be opened anew" not in log_of(server):
        found.append(f"the server did not say why it ended: {log_of(server)[-500:]}")
    server.start()
    return found + load.lost()


def no_descriptors(server: ServerProcess) -> list[str]:
    """Out of descriptors for real: who is connected is served, and all are when there are some again."""
    found: list[str] = []
    pid = server.pid
    server.s3.request("PUT", "/full")
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    request = signed(server.s3, "GET", "/full", [("list-type", "2")])
    with Connections(server.s3, 2) as known:
        known.burst([request] * 2, "GET")
        open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 3, usual[1]))
        crowd = []
        for _ in range(30):
            with suppress(OSError):
                crowd.append(server.s3.connect())
        answers = [answer.status for answer in known.burst([request] * 2, "GET")]
        if answers != [200, 200]:
            found.append(f"without descriptors, clients that were there were answered {answers}")
        put = signed(server.s3, "PUT", "/full/large", body=body(HUGE, "full"))
        (refused,) = known.burst([put])
        if refused.status not in (200, 503):
            found.append(f"without descriptors, a large PUT was answered {refused.verdict}")
        spent = _cpu_s(pid)
        time.sleep(1.0)
        if _cpu_s(pid) - spent > 0.5:
            found.append(
                f"without descriptors, the server is busy with nothing: {_cpu_s(pid) - spent:.1f} s of 1 s"
            )
        for connection in crowd:
            connection.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    if not wait_until(server._answers):
        found.append("with descriptors again, nobody is answered")
    if server.s3.request("PUT", "/full/large", body=body(HUGE, "full")).status != 200:
        found.append("with descriptors again, a large PUT is refused")
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def no_memory(server: ServerProcess) -> list[str]:
    """Out of memory: who asks for too much is refused or cut off; there is a server, and it has lost nothing."""
    found: list[str] = []
    server.s3.request("PUT", "/memory")
    kept = body(SMALL, "kept")
    server.s3.request("PUT", "/memory/kept", body=kept)
    usual = resource.prlimit(server.pid, resource.RLIMIT_AS)
    used = int(Path(f"/proc/{server.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(server.pid, resource.RLIMIT_AS, (used + (1 << 20), usual[1]))
    try:
        for number in range(8):
            with suppress(OSError):
                answer = server.s3.request("PUT", f"/memory/{number}", body=body(4 * HUGE, "much"))
                if answer.status not in (200, 500, 503):
                    found.append(f"without memory, a PUT was answered {answer.verdict}")
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(server.pid, resource.RLIMIT_AS, usual)
    if not wait_until(server._answers, 10.0):
        found.append("with memory again, nobody is answered")
        server.restart()
    if server.s3.request("GET", "/memory/kept").body != kept:
        found.append("what was kept is lost")
    if server.s3.request("PUT", "/memory/again", body=body(4 * HUGE, "much")).status != 200:
        found.append("with memory again, a PUT is refused")
    return found


def supervisor_without_descriptors(server: ServerProcess, count: int) -> list[str]:
    """A supervisor that can't start a worker now tries again; it does not end."""
    usual = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    begun = len(log_of(server))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
    victim = min(workers_of(server))
    os.kill(victim, signal.SIGKILL)
    has_tried = wait_until(lambda: "could not be started" in log_of(server)[begun:])
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, usual)
    is_back = wait_until(lambda: _is_back(server, count, {victim}))
    said = [] if has_tried else [f"the supervisor did not say that it can't: {log_of(server)[begun:]}"]
    return said + ([] if is_back else ["no worker was started when there were descriptors again"])


def mended_meta_pages(server: ServerProcess, plan: Plan) -> list[str]:
    """After a commit whose sync failed the meta pages are written and synced before anything else, once."""
    server.s3.request("PUT", "/mended")
    plan.set(Rule("sync", "index/data.mdb", errno.EIO, times=1))
    refused = server.s3.request("PUT", "/mended/k", body=b"0").status
    plan.clear()
    syncs = []
    for number in range(2):
        before = plan.calls["sync"]
        server.s3.request("PUT", "/mended/k", body=b"%d" % number)
        syncs.append(plan.calls["sync"] - before)
    expected = [503, 2, 1]
    return [] if [refused, *syncs] == expected else [f"status and syncs {[refused, *syncs]}, not {expected}"]


def refused_accepts(server: ServerProcess, plan: Plan) -> list[str]:
    """accept() fails for a while; afterwards everybody gets in."""
    found: list[str] = []
    request = signed(server.s3, "GET", "/")
    with Connections(server.s3, 1) as known:
        known.burst([request], "GET")
        plan.set(Rule("accept", "", errno.EMFILE, times=200))
        with suppress(OSError):
            server.s3.connect().close()
        if known.burst([request], "GET")[0].status != 200:
            found.append("while accept fails, a client that was there is refused")
        wait_until(lambda: plan.hits > 0)
        if not plan.clear():
            found.append("the fault was never met: an error of the harness")
    if not wait_until(server._answers):
        found.append("after accept failed, nobody gets in")
    return found


def relaxed_checkpoints(server: ServerProcess, plan: Plan) -> list[str]:
    """Checkpoints fail, and the clock jumps: writes go on, and so do checkpoints afterwards."""
    found: list[str] = []
    server.s3.request("PUT", "/relaxed")
    for number, rule in enumerate((Rule("syncfs", ""), Rule("rename", "/checkpoint"))):
        plan.set(rule)
        if server.s3.request("PUT", f"/relaxed/{number}", body=b"x").status != 200:
            found.append(f"a write failed with the checkpoint ({rule.functions})")
        if not wait_until(lambda: plan.hits > 0):
            found.append("the fault was never met: an error of the harness")
        wait_until(lambda number=number: log_of(server).count("no checkpoint was taken") > number)  # type: ignore[misc]
        plan.clear()
        plan.set_clock((-1) ** number * 86_400)
        server.s3.clock_offset_s = (-1) ** number * 86_400
        before = _checkpoint(server)
        if server.s3.request("PUT", f"/relaxed/{number}", body=b"y").status != 200:
            found.append("a write failed when checkpoints could be taken again")
        if not wait_until(lambda before=before: _checkpoint(server) != before):  # type: ignore[misc]
            found.append(f"no checkpoint was taken any more ({rule.functions})")
    plan.set_clock(0)
    server.s3.clock_offset_s = 0
    return found


def _checkpoint(server: ServerProcess) -> bytes:
    return (server.directory / "checkpoint-0").read_bytes()
