"""`anys3 check`: judges any S3 endpoint against the spec.

Also a plugin of pytest, for suites of your own: one item a check.

    pytest -p anys3.conformance --anys3-endpoint https://s3.example.com
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# The hooks are thin: whoever imports the checker without pytest must not need it.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    from anys3.conformance import collecting  # noqa: PLC0415

    collecting.add_options(parser)


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add one item for each check, if an endpoint is given."""
    from anys3.conformance import collecting  # noqa: PLC0415

    items.extend(collecting.items(session))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take away what the checks made."""
    from anys3.conformance import collecting  # noqa: PLC0415

    collecting.finish(session)
