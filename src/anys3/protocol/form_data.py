"""multipart/form-data as browsers send it to S3 (RFC 7578): the fields first, then the bytes of one file."""

from __future__ import annotations

import re

from anys3.spec.errors import S3Error

MAX_FIELD_BYTES = 20 << 10
"""Most bytes before the file: names, values and part headers together (POST-11)."""
_MAX_BOUNDARY_BYTES = 70
_PARAMETER = re.compile(r';\s*([A-Za-z0-9_*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))')


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary of a Content-Type. Raises S3Error PreconditionFailed if it is no form (POST-10).

    >>> boundary_of(b'multipart/form-data; boundary="a b"')
    b'a b'
    """
    text = content_type.decode("latin-1")
    kind = text.partition(";")[0].strip().lower()
    boundary = _parameters(text).get("boundary", "")
    if kind != "multipart/form-data":
        raise S3Error("PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data")
    if not 1 <= len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise S3Error("MalformedPOSTRequest", "The form has no boundary, or one of more than 70 bytes")
    return boundary.encode("latin-1")


class FormDecoder:
    """Takes a form in any pieces; hands out the file's bytes, and `fields` once the file has begun.

    Field names are lower case; of a repeated field the last value counts. What stands behind the file is
    ignored, as S3 does, except that a second file is refused (POST-09).
    """

    def __init__(self, boundary: bytes) -> None:
        """Decode a form with that boundary."""
        self.fields: dict[str, str] = {}
        self.file_name = ""
        self.is_file_started = False
        self._delimiter = b"\r\n--" + boundary
        # As if a line had ended before the first delimiter, so that all delimiters look alike.
        self._held = b"\r\n"
        self._is_file_over = False
        self._is_closed = False
        self._seen = 0
        # The file is searched from the line end before it, or an empty file would hide its delimiter.
        self._skipped = 0

    def feed(self, data: memoryview | bytes) -> list[memoryview]:
        """Return the bytes of the file that `data` holds or completes.

        Raises S3Error MaxPostPreDataLengthExceededError, MalformedPOSTRequest and
        IncorrectNumberOfFilesInPostRequest.
        """
        if self._is_closed:
            return []
        held = self._held + bytes(data) if self._held else bytes(data)
        self._held = b""
        self._seen += len(data)
        if not self.is_file_started:
            return self._feed_fields(held)
        return self._feed_file(held)

    def finish(self) -> None:
        """Check that the form is complete. Raises S3Error InvalidArgument without a file, IncompleteBody."""
        if not self.is_file_started:
            raise S3Error(
                "InvalidArgument",
                "POST requires exactly one file upload per request.",
                ArgumentName="file",
                ArgumentValue="0",
            )
        if not self._is_file_over:
            raise S3Error("IncompleteBody")

    def _feed_fields(self, held: bytes) -> list[memoryview]:
        position = 0  # not a slice for each field: a form may hold thousands before it is refused
        while (part := self._next_part(held, position)) is not None:
            head, begin = part
            name, file_name = _disposition(head)
            if name == "file":
                self.file_name = file_name.replace("\\", "/").rpartition("/")[2]
                self.is_file_started = True
                self._skipped = 2
                return self._feed_file(held[begin - 2 :])
            end = held.find(self._delimiter, begin - 2)
            if end < 0:
                break
            self._check_bound(held, end + len(self._delimiter))
            self.fields[name] = _text(held[begin : max(end, begin)])
            position = end
        self._keep(held[position:])
        return []

    def _next_part(self, held: bytes, position: int) -> tuple[bytes, int] | None:
        """Return the header block of the next part from `position` on, and where its content begins."""
        start = held.find(self._delimiter, position)
        if start < 0:
            return None
        line = start + len(self._delimiter)
        if held[line : line + 2] == b"--":
            self._check_bound(held, line + 2)
            self._is_closed = True
            return None
        head_end = held.find(b"\r\n\r\n", line)
        if head_end < 0:
            return None
        self._check_bound(held, head_end + 4)
        if held.find(self._delimiter, line, head_end) >= 0:
            raise S3Error("MalformedPOSTRequest", "A part of the form has headers that do not end")
        return held[line:head_end], head_end + 4

    def _check_bound(self, held: bytes, position: int) -> None:
        """Refuse what lies beyond the limit: by where it stands, so that no cut makes a difference."""
        if self._seen - (len(held) - position) > MAX_FIELD_BYTES:
            raise S3Error("MaxPostPreDataLengthExceededError")

    def _keep(self, held: bytes) -> None:
        """Keep what is not complete yet; nothing is awaited behind the end of the form."""
        if not self._is_closed:
            self._held = held
            self._check_bound(held, len(held))

    def _feed_file(self, held: bytes) -> list[memoryview]:
        if self._is_file_over:
            self._feed_rest(held)
            return []
        end = held.find(self._delimiter)
        if end >= 0:
            self._is_file_over = True
            self._seen = len(held) - end
            self._feed_rest(held[end:])
        else:
            # The delimiter may have begun at the end: hold back what could be its beginning.
            end = held.rfind(b"\r", max(0, len(held) - len(self._delimiter) + 1))
            end = len(held) if end < 0 else end
            self._held = held[end:]
        start = min(self._skipped, end)
        self._skipped -= start
        return [memoryview(held)[start:end]] if start < end else []

    def _feed_rest(self, held: bytes) -> None:
        """Look at what follows the file, for a second one."""
        position = 0
        while (part := self._next_part(held, position)) is not None:
            head, begin = part
            if _disposition(head)[0] == "file":
                raise S3Error("IncorrectNumberOfFilesInPostRequest", ArgumentName="file", ArgumentValue="2")
            position = begin - 2
        self._keep(held[position:])


def _disposition(head: bytes) -> tuple[str, str]:
    """Return the lower-case field name and the file name of a part's headers."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            parameters = _parameters(_text(value))
            if "name" in parameters:
                return parameters["name"].lower(), parameters.get("filename", "")
    raise S3Error("MalformedPOSTRequest", "A part of the form has no Content-Disposition with a name")


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header value; browsers escape quotes as %22 or with a backslash."""
    found = {}
    for name, quoted, plain in _PARAMETER.findall(value):
        found[name.lower()] = re.sub(r'\\(["\\])', r"\1", quoted).replace("%22", '"') if quoted else plain
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "The fields of the form must be UTF-8") from None
