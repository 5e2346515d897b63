"""One line for each request: when asked for by --access-log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anys3.protocol.http import Answer, Request
    from anys3.server.connections import Application


class AccessLog:
    """An application that logs what another one answers: never a query, which may hold a signature."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.log = app.log
        self.new_request_id = app.new_request_id
        self._access = logging.getLogger("anys3.access")

    async def handle(self, request: Request) -> Answer:
        """Answer one request, and log it when the answer is ready to be sent."""
        began = time.perf_counter()
        answer = await self._app.handle(request)
        self._access.info(
            "%s %s %s %d %.1f ms",
            request.id,
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            answer.status,
            (time.perf_counter() - began) * 1000,
        )
        return answer
