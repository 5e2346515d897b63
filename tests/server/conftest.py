from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.wire_server import WireServer, serving


@pytest.fixture(scope="module")
def shell() -> Iterator[WireServer]:
    """The HTTP shell with an application of the tests."""
    with serving() as running:
        yield running
