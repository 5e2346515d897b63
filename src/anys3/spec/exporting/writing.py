"""The one place of the exporters that writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write(files: Mapping[str, str], directory: Path) -> None:
    """Write files below a directory that is made where it is missing; each appears whole or not at all.

    Nothing is removed: a file that an earlier export wrote, and this one does not, stays. Line ends are LF
    on every platform. Raises NotADirectoryError: something else has that name; OSError: it can't be written.
    """
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{directory} is a file; expected a directory, or a name that is free")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, text.encode())


def _write_whole(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # noqa: PTH101 (mkstemp makes it private; the spec is public)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
