"""Small programs on the SDKs of other languages: the same steps in each, the server killed in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.clients import CACHE, Shell, built, tool
from tests.interop.serving import ServedProcess


def _javascript() -> list[str | Path]:
    built("js", "js", "node_modules")
    return [tool("node"), built("js", "js", "program.mjs")]


def _go() -> list[str | Path]:
    return [built("go", "go-client")]


def _java() -> list[str | Path]:
    built("java", "java", "classes", "Program.class")
    return [
        tool("java"),
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{CACHE}/java/classes:{CACHE}/java/lib/*",
        "Program",
    ]


def _rust() -> list[str | Path]:
    return [built("rust", "rust", "debug", "anys3-interop")]


SDKS = {
    "AWS SDK for JavaScript v3": _javascript,
    "AWS SDK for Go v2": _go,
    "AWS SDK for Java v2": _java,
    "AWS SDK for Rust": _rust,
}


@pytest.mark.parametrize("sdk", list(SDKS))
def test_a_program_on_an_sdk_writes_and_reads_it_back_after_a_kill(
    sdk: str, shell: Shell, served: ServedProcess, name: str, record_client: Callable[[str, str, str], None]
) -> None:
    command = SDKS[sdk]()
    shell.program(name, *command, "first")
    served.restart()
    version = shell.program(name, *command, "second")
    record_client(
        sdk,
        version,
        "default checksums, metadata, range, multipart, copy, pages, If-None-Match, typed errors, presigned GET,"
        " batch delete",
    )
