"""What engines raise when a store is opened; what they raise later is in errors.py."""

# ruff: noqa: N818 (errors are named after what happened, as S3 names its codes)

from __future__ import annotations

from anys3.store.errors import StoreError, Unavailable


class NewerFormat(StoreError):
    """The store was written by a newer anys3."""


class NotAStore(StoreError):
    """The place holds something else, and is left alone."""


class AlreadyServed(StoreError):
    """Another server serves this directory."""


class ReadOnly(StoreError):
    """The place can't be written to."""


class Unsuitable(StoreError):
    """What was asked for can't be opened in that way: an engine, a parameter or a combination that there is not."""


class EngineMissing(StoreError):
    """The engine needs a package or a library that is not installed; the message says which, and how to get it."""


class Unreachable(Unavailable):
    """What lies on other machines does not answer; the message says what was expected, and what to do."""
