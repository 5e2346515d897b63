"""Servers broken for the checks of trailers and stored encodings: PAY-10, PAY-11, PAY-18."""

from __future__ import annotations

from collections.abc import Callable

from anys3.protocol.aws_chunked import Decoder
from anys3.protocol.metadata import without_aws_chunked
from anys3.spec.errors import S3Error
from tests.breakages.aws_chunked import DECODER, ENDS_ANYWHERE, UNVERIFIED
from tests.broken_servers import Breakage, accepting, all_of, breaks, patched, saying

ENCODING = "anys3.protocol.metadata.without_aws_chunked"
read_trailer = Decoder._read_trailer


def first_only(encoding: bytes) -> bytes:
    """Remove aws-chunked where it stands first."""
    return without_aws_chunked(encoding) if encoding.startswith(b"aws-chunked") else encoding


def sorted_encodings(encoding: bytes) -> bytes:
    """Remove aws-chunked and forget the order of the others."""
    return b",".join(sorted(without_aws_chunked(encoding).replace(b" ", b"").split(b",")))


breaks(
    ("PAY-10/framing-is-no-encoding", "PAY-10/other-encodings-stay"),
    patched("aws-chunked is stored", ENCODING, lambda encoding: encoding),
)
breaks(
    "PAY-10/other-encodings-stay", patched("aws-chunked is removed in the first place", ENCODING, first_only)
)
breaks("PAY-10/other-encodings-stay", patched("codings lose their order", ENCODING, sorted_encodings))
breaks("PAY-10/other-encodings-stay", patched("no coding is stored", ENCODING, lambda _: b""))


def read_any_trailer(self: Decoder, line: bytes) -> None:
    """Skip trailers that were not announced."""
    try:
        read_trailer(self, line)
    except S3Error as error:
        if error.code != "MalformedTrailerError":
            raise


SKIPPED = patched("", f"{DECODER}._read_trailer", read_any_trailer)
breaks("PAY-11/announced-trailer-must-come", ENDS_ANYWHERE)
breaks("PAY-11/misspelt-trailer", all_of("trailers of other names are skipped", SKIPPED, ENDS_ANYWHERE))
breaks("PAY-11/trailer-must-be-announced", all_of("trailers that nobody announced are skipped", SKIPPED))
breaks(
    (
        "PAY-11/announced-trailer-must-come",
        "PAY-11/misspelt-trailer",
        "PAY-11/trailer-must-be-announced",
    ),
    saying("InvalidRequest", instead_of="MalformedTrailerError"),
)
breaks(
    "PAY-11/announcement-without-trailer-mode",
    saying("InternalError", instead_of="InvalidRequest"),
)
breaks("PAY-11/announcement-without-trailer-mode", accepting("InvalidRequest"))


def strict(sentence: str, is_refused: Callable[[Decoder, bytes], bool]) -> Breakage:
    """A server that reads fewer ways to write a trailer."""

    def broken(self: Decoder, line: bytes) -> None:
        if is_refused(self, line):
            raise S3Error("MalformedTrailerError")
        read_trailer(self, line)

    return patched(sentence, f"{DECODER}._read_trailer", broken)


breaks(
    "PAY-18/line-end-of-a-trailer",
    strict("a trailer line must end in CRLF", lambda _, line: not line.endswith(b"\r")),
)
breaks(
    "PAY-18/white-space-in-a-trailer",
    strict("white space in a trailer is not allowed", lambda _, line: b": " in line),
)
breaks(
    "PAY-18/capitals-in-a-trailer",
    strict("trailers must be in small letters", lambda _, line: line[:5].lower() != line[:5]),
)
breaks(
    "PAY-18/empty-line-before-a-trailer",
    strict(
        "an empty line ends the trailer",
        lambda decoder, line: line == b"\r" and decoder._announced is not None and decoder.trailer is None,
    ),
)
breaks(
    (
        "PAY-18/line-end-of-a-trailer",
        "PAY-18/white-space-in-a-trailer",
        "PAY-18/capitals-in-a-trailer",
        "PAY-18/empty-line-before-a-trailer",
    ),
    UNVERIFIED,
)
