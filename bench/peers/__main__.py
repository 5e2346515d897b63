"""`python -m bench.peers list | install NAME... | run NAME [--tls] -- COMMAND ... | measure NAME... --to DIR`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import peers

DESCRIPTION = "S3 servers of others, started on loopback for one command."
EPILOG = """\
examples:
  python -m bench.peers list
  python -m bench.peers install seaweedfs moto
  python -m bench.peers run seaweedfs -- anys3 check {endpoint} --second-profile second
  python -m bench.peers run anys3 --tls -- aws s3 ls
  python -m bench.peers measure seaweedfs swift --to reports
  python -m bench.peers measure anys3 --to reports -- --tier 1
  python -m bench.peers run moto -- bash         a shell with the peer in its environment

COMMAND finds the peer by AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; with
--tls also by AWS_CA_BUNDLE. In its words, {endpoint} and {version} are replaced. The profile "second" of
AWS_SHARED_CREDENTIALS_FILE is another identity, where the peer has one. The exit code is COMMAND's.

measure runs `anys3 check` against each, one after the other, over TLS where the product is set up for it, and
writes NAME.json and NAME.html. Its exit code is 0 when every run reached a verdict, whichever.
"""
COMMAND_LIMIT_S = 30.0
# The exit codes of `anys3 check` that are verdicts: conformant, not conformant, incomplete.
VERDICTS = (0, 1, 3)


def _list() -> int:
    for name, product in peers.PRODUCTS.items():
        is_installed = product.is_installed(peers.home_of(name))
        print(f"{name:<11}{product.title}, {'installed' if is_installed else 'not installed'}")
        print(f"{'':<11}from: {', '.join(map(str, product.sources))}")
        print(f"{'':<11}syncs before it answers: {product.syncs}")
        print(f"{'':<11}second identity: {product.identities}")
        print(f"{'':<11}TLS: {'yes' if product.has_tls else 'not set up here'}")
    return 0


def _install(names: Sequence[str]) -> int:
    for name in names:
        peers.install(name)
        print(f"{name} is in {peers.home_of(name)}")
    return 0


def _run(name: str, command: Sequence[str], *, tls: bool) -> int:
    with peers.start(name, tls=tls) as peer:
        second = "with a second identity" if peer.second else "without a second identity"
        print(f"{name} {peer.version} on {peer.endpoint}, {second}", file=sys.stderr, flush=True)
        words = [
            word.replace("{endpoint}", peer.endpoint).replace("{version}", peer.version) for word in command
        ]
        return _wait(subprocess.Popen(words, env=peer.environment()))


def _measure(names: Sequence[str], reports: Path, more: Sequence[str], *, plain: bool) -> int:
    reports.mkdir(parents=True, exist_ok=True)
    is_judged = [_judge(name, reports, more, plain=plain) for name in names]
    return 0 if all(is_judged) else 1


def _judge(name: str, reports: Path, more: Sequence[str], *, plain: bool) -> bool:
    """Check one product, over TLS if it can; an older report is only replaced by a whole one."""
    report = reports / f"{name}.json"
    with peers.start(name, tls=peers.PRODUCTS[name].has_tls and not plain) as peer:
        command = [sys.executable, "-m", "anys3", "check", peer.named_endpoint, "--json", "--quiet"]
        command += ["--product", peers.PRODUCTS[name].title, "--product-version", peer.version]
        command += ["--html", str(reports / f"{name}.html")]
        if peer.second:
            command += ["--second-profile", "second"]
        with tempfile.TemporaryFile() as output:
            code = _wait(subprocess.Popen([*command, *more], env=peer.environment(), stdout=output))
            output.seek(0)
            said = output.read()
    is_verdict = code in VERDICTS and said.startswith(b"{")
    if is_verdict:
        report.write_bytes(said)
    outcome = f"its report is {report}" if is_verdict else "which is no verdict"
    print(f"{name} {peer.version}: anys3 check ended with {code}, {outcome}", file=sys.stderr, flush=True)
    return is_verdict


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code. A Ctrl-C of the terminal reaches the command as well: it gets time to end."""
    try:
        code = process.wait()
    except BaseException as error:
        process.send_signal(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        try:
            process.wait(COMMAND_LIMIT_S)
        finally:
            process.kill()
            process.wait()
        raise
    return 128 - code if code < 0 else code


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """Run one action and return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m bench.peers",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="say what there is, from where, and how it differs")
    installing = actions.add_parser("install", help="install products into the cache folder")
    installing.add_argument("name", nargs="+", choices=peers.PRODUCTS)
    running = actions.add_parser("run", help="start a product, run a command against it, stop it")
    running.add_argument("name", choices=peers.PRODUCTS)
    running.add_argument("--tls", action="store_true", help="speak TLS, with a certificate for s3.localhost")
    measuring = actions.add_parser("measure", help="run anys3 check against products, and keep the reports")
    measuring.add_argument("name", nargs="+", choices=peers.PRODUCTS)
    measuring.add_argument("--plain", action="store_true", help="over HTTP, also what could speak TLS")
    measuring.add_argument("--to", type=Path, required=True, metavar="DIR", help="where the reports go")
    before, has_command, command = _split(arguments)
    chosen = parser.parse_args(before)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if chosen.action == "list":
            return _list()
        if chosen.action == "install":
            return _install(chosen.name)
        if chosen.action == "measure":
            return _measure(chosen.name, chosen.to, command, plain=chosen.plain)
        if not has_command or not command:
            parser.error("run needs a command after --")
        return _run(chosen.name, command, tls=chosen.tls)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        return 130


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], bool, Sequence[str]]:
    """Return what stands before --, whether there is one, and what follows."""
    if "--" not in arguments:
        return arguments, False, ()
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
