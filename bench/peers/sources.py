"""Where a product is had from, and how it gets into the cache folder: virtual environments, npm, Go, Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

INSTALL_LIMIT_S = 1800.0


def cache() -> Path:
    """Return the folder that holds what was installed, one folder a product."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anys3-peers"


class Source(Protocol):
    """One package, or a few that belong together; str() says from where and which version."""

    def is_installed(self, home: Path) -> bool:
        """Return whether it is there, in this very version."""

    def install(self, home: Path) -> None:
        """Install it under `home`; raises CalledProcessError or TimeoutExpired."""


def _run(*command: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=INSTALL_LIMIT_S,
    )


def _mark(home: Path, source: Source) -> None:
    """Note what was installed, last of all: a broken or older installation does not count as installed."""
    (home / f"{type(source).__name__}.installed").write_text(str(source))


def _is_marked(home: Path, source: Source) -> bool:
    mark = home / f"{type(source).__name__}.installed"
    return mark.exists() and mark.read_text() == str(source)


@dataclass(frozen=True, slots=True)
class Wheels:
    """Packages of PyPI in a virtual environment of their own."""

    requirements: tuple[str, ...]

    def __str__(self) -> str:
        return f"PyPI {' '.join(self.requirements)}"

    def is_installed(self, home: Path) -> bool:
        return _is_marked(home, self) and (home / "venv/bin/python").exists()

    def install(self, home: Path) -> None:
        _run(sys.executable, "-m", "venv", "--clear", home / "venv")
        pip = (home / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, *self.requirements)
        _mark(home, self)


@dataclass(frozen=True, slots=True)
class NodePackage:
    """A package of npm, under a prefix of its own."""

    requirement: str

    def __str__(self) -> str:
        return f"npm {self.requirement}"

    def is_installed(self, home: Path) -> bool:
        return _is_marked(home, self) and (home / "node_modules").exists() and bool(shutil.which("node"))

    def install(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        _run(
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--silent",
            "--prefix",
            home,
            self.requirement,
            cwd=home,
        )
        _mark(home, self)


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program compiled from a module of the Go module proxy; takes minutes of a core."""

    module: str

    def __str__(self) -> str:
        return f"Go {self.module}"

    def is_installed(self, home: Path) -> bool:
        return _is_marked(home, self) and any((home / "bin").glob("*"))

    def install(self, home: Path) -> None:
        (home / "bin").mkdir(parents=True, exist_ok=True)
        _run("go", "install", self.module, environment={"GOBIN": str(home / "bin")})
        _mark(home, self)


def module_version(program: Path) -> str:
    """Return the version of the module that a Go program was built from, as the program itself holds it."""
    said = subprocess.run(
        ["go", "version", "-m", program], capture_output=True, text=True, check=True, timeout=30
    )
    for line in said.stdout.splitlines():
        words = line.split()
        if words[:1] == ["mod"]:
            return words[2].removeprefix("v")
    raise RuntimeError(f"{program} does not say which module it is of")


@dataclass(frozen=True, slots=True)
class Crate:
    """A program compiled from crates.io, with the dependencies that its authors locked; takes many minutes."""

    name: str
    version: str
    features: tuple[str, ...]

    def __str__(self) -> str:
        return f"crates.io {self.name}@{self.version} ({' '.join(self.features)})"

    def is_installed(self, home: Path) -> bool:
        return _is_marked(home, self) and (home / "bin" / self.name).exists()

    def install(self, home: Path) -> None:
        chosen = ("--no-default-features", "--features", ",".join(self.features))
        words = ("cargo", "install", f"{self.name}@{self.version}", "--locked", "--force", *chosen)
        _run(*words, "--root", home)
        _mark(home, self)


@dataclass(frozen=True, slots=True)
class DebianPackages:
    """Packages of Debian that must lie where Debian puts them; their version is the release's. Needs root."""

    packages: tuple[str, ...]

    def __str__(self) -> str:
        return f"Debian {' '.join(self.packages)}"

    def is_installed(self, home: Path) -> bool:  # noqa: ARG002 (the system is where it lies)
        wanted = ("dpkg-query", "--show", "--showformat=${db:Status-Status}\n", *self.packages)
        try:
            said = subprocess.run(wanted, capture_output=True, text=True, check=True, timeout=30).stdout
        except (OSError, subprocess.CalledProcessError):
            return False
        return set(said.split()) == {"installed"}

    def install(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "update", "-qq")
        noninteractive = {"DEBIAN_FRONTEND": "noninteractive"}
        words = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *self.packages)
        _run(*words, environment=noninteractive)


@dataclass(frozen=True, slots=True)
class UnpackedDebian:
    """Packages of Debian unpacked into the cache: no root, nothing started, nothing of the system changed."""

    packages: tuple[str, ...]

    def __str__(self) -> str:
        return f"Debian {' '.join(self.packages)} (unpacked)"

    def is_installed(self, home: Path) -> bool:
        return _is_marked(home, self)

    def install(self, home: Path) -> None:
        archives, target = home / "archives", home / "debian"
        shutil.rmtree(archives, ignore_errors=True)
        archives.mkdir(parents=True)
        # apt gives up its rights while it downloads, and warns when its user can't write here.
        _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *self.packages, cwd=archives)
        for archive in sorted(archives.glob("*.deb")):
            _run("dpkg-deb", "--extract", archive, target)
        shutil.rmtree(archives)
        _mark(home, self)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The code that this file lies in."""

    def __str__(self) -> str:
        return "this checkout"

    def is_installed(self, home: Path) -> bool:  # noqa: ARG002 (nothing is ever missing)
        return True

    def install(self, home: Path) -> None:
        """Do nothing."""
