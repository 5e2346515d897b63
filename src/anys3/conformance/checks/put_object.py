"""PutObject: PUT-01 to PUT-12."""

from __future__ import annotations

from anys3.conformance.probe import Probe
from anys3.conformance.registry import check
from anys3.conformance.replies import equal

_ETAG_OF_NOTHING = '"d41d8cd98f00b204e9800998ecf8427e"'


@check("PUT-03", operation="PutObject")
def zero_bytes(probe: Probe) -> None:
    """An object of zero bytes is stored, and its ETag is the MD5 of nothing."""
    reply = probe.put(probe.key(), b"").expect("200", about="PUT of zero bytes")
    equal(reply.etag, _ETAG_OF_NOTHING, "the ETag of zero bytes")
    probe.expect_content(probe.key(), b"", about="GET of zero bytes")
