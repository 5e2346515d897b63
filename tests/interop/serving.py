"""The real server as a process of its own, which a test may kill and start again on the same directory."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import ipaddress
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
START_S = 30
STOP_S = 30


class ServedProcess:
    """`anys3 serve DIRECTORY` on a port of its own. kill() takes nothing away but the process."""

    access_key_id = "AKIAINTEROPINTEROP01"
    secret_access_key = "interop/secret+key/of/forty/characters00"

    def __init__(self, home: Path, tls: bool = False) -> None:
        self.home = home
        self.directory = home / "data"
        self.log = home / "server.log"
        self.certificate: Path | None = write_certificate(home) if tls else None
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self._port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the process and return when it answers HTTP; raises with the log's end when it does not."""
        assert self._process is None
        # ANYS3_SERVE_COMMAND names another build, an installed wheel's `anys3` for one.
        program = shlex.split(os.environ.get("ANYS3_SERVE_COMMAND", "")) or [sys.executable, "-m", "anys3"]
        command = [*program, "serve", str(self.directory), "--listen", self.host]
        if self.certificate:
            command += ["--tls-cert", str(self.certificate), "--tls-key", str(self.home / "key.pem")]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))
        }
        source = str(ROOT / "src")
        environment |= {
            "ANYS3_ACCESS_KEY_ID": self.access_key_id,
            "ANYS3_SECRET_ACCESS_KEY": self.secret_access_key,
            "PYTHONPATH": source + os.pathsep + environment.get("PYTHONPATH", ""),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.home,
                start_new_session=True,  # so that kill() takes the workers too
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{command} does not answer:\n{self.log.read_text('utf-8')[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process and its workers the way a power cut would: SIGKILL, nothing flushed, no goodbye."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_S)
        deadline = time.monotonic() + STOP_S
        while _alive(self._process.pid):
            assert time.monotonic() < deadline, "a worker outlived SIGKILL"
            time.sleep(0.01)
        self._process = None

    def restart(self) -> None:
        """Kill the process and start it again, on the same port and directory."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Ask the process to end, and wait for it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        finally:
            self.kill()

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate)) if self.certificate else None
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self._port, timeout=5, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        )
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _alive(group: int) -> bool:
    """Return whether a process of the group still runs; zombies have let go of their files and locks."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                return True
    return False


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def write_certificate(home: Path) -> Path:
    """Write a self-signed certificate for loopback with its key; returns the certificate's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_path, path = home / "key.pem", home / "certificate.pem"
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    key_path.chmod(0o600)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
