"""S3Error, the one exception that becomes an answer; codes, statuses and messages are errors.toml's."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class ErrorDefinition:
    """One row of errors.toml."""

    code: str
    status: int
    message: str
    source: str


def _load() -> dict[str, ErrorDefinition]:
    text = resources.files("anys3.spec").joinpath("errors.toml").read_text("utf-8")
    return {
        code: ErrorDefinition(code, row["status"], row["message"], row.get("source", ""))
        for code, row in tomllib.loads(text).items()
    }


ERRORS = _load()


class S3Error(Exception):
    """A refusal, told to the client as S3 tells it.

    Keyword arguments become elements of the error document (`Key=...`, `BucketName=...`, `Header=...`);
    `message` replaces the default one. `log` is for the server's log only, never for the client.

        >>> S3Error("NoSuchKey", Key="a").status
        404
    """

    def __init__(self, code: str, message: str | None = None, *, log: str = "", **details: str) -> None:
        definition = ERRORS[code]
        super().__init__(code)
        self.code = code
        self.status = definition.status
        self.message = message or definition.message
        self.log = log
        self.details = details
        self.headers = b""
        """Extra header lines of the answer, each ending in CRLF."""
        self.must_close = False
        """Close the connection after the answer."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
