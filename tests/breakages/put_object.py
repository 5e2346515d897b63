"""Servers broken for the checks of PutObject."""

from __future__ import annotations

from tests.broken_servers import answering, breaks, set_header, when

breaks(
    "PUT-03/zero-bytes",
    answering(
        "the ETag of zero bytes is one of its own",
        lambda request, answer: (
            set_header(answer, "ETag", '"0"')
            if when(request, "PUT") and request.headers.get(b"content-length") == b"0"
            else None
        ),
    ),
)
