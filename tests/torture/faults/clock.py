"""The server's clock, stepped by a day while it serves: what must follow it, and what must not."""

from __future__ import annotations

import email.utils
import time
from typing import Any

from tests.processes import Connections, ServerProcess, signed
from tests.rawclient import RawClient
from tests.torture.faults.ground import SMALL, body
from tests.torture.faults.injector import Plan

DAY_S = 86_400


def run(server: ServerProcess, plan: Plan) -> list[str]:
    """Step the clock forward, back, and to where it was; return what was wrong."""
    found: list[str] = []
    s3 = server.s3
    s3.request("PUT", "/clock")
    for number in range(30):
        s3.request("PUT", f"/clock/k{number:02}", body=b"x")
    upload_id = s3.request("POST", "/clock/upload", "uploads").text("UploadId") or ""
    page = s3.request("GET", "/clock", [("list-type", "2"), ("max-keys", "10")])
    token = page.text("NextContinuationToken") or ""
    presigned = s3.presign("GET", "/clock/k00", expires_s=3600)
    with Connections(s3, 1) as idle:
        idle.burst([signed(s3, "GET", "/clock/k00")], "GET")
        for offset_s in (DAY_S, -DAY_S, 0):
            plan.set_clock(offset_s)
            s3.clock_offset_s = 0
            skewed = s3.request("GET", "/clock/none").verdict
            s3.clock_offset_s = offset_s
            expected = (404, "NoSuchKey") if offset_s == 0 else (403, "RequestTimeTooSkewed")
            _compare(found, f"at {offset_s} s, a request of the true time", skewed, expected)
            _see(found, s3, offset_s, upload_id, token, presigned)
            _see_connection(found, s3, idle, offset_s)
    _see_order(found, s3)
    return found


def _compare(found: list[str], what: str, is_: Any, expected: Any) -> None:
    if is_ != expected:
        found.append(f"{what}: {is_}, not {expected}")


def _see(found: list[str], s3: RawClient, offset_s: int, upload_id: str, token: str, presigned: str) -> None:
    at = f"at {offset_s} s, "
    # Signed at the true time: expired a day later, from the future a day before.
    told = s3.open_url("GET", presigned)
    _compare(found, at + "a presigned URL", told.status, 403 if offset_s else 200)
    now = time.time() + offset_s
    data = body(SMALL, f"clock{offset_s}")
    put = s3.request("PUT", "/clock/changed", body=data)
    got = s3.request("GET", "/clock/changed")
    _compare(found, at + "PUT and GET", (put.status, got.body), (200, data))
    changed = email.utils.parsedate_to_datetime(got.headers["last-modified"]).timestamp()
    _compare(found, at + "Last-Modified is now", abs(changed - now) < 60, True)
    said = email.utils.parsedate_to_datetime(got.headers["date"]).timestamp()
    _compare(found, at + "Date is now", abs(said - now) < 60, True)
    same = s3.request("GET", "/clock/changed", headers={"if-modified-since": got.headers["last-modified"]})
    _compare(found, at + "If-Modified-Since what it says", same.status, 304)
    unmodified = {"if-unmodified-since": got.headers["last-modified"]}
    _compare(
        found, at + "If-Unmodified-Since", s3.request("GET", "/clock/changed", headers=unmodified).status, 200
    )
    part = s3.request(
        "PUT", "/clock/upload", [("partNumber", "1"), ("uploadId", upload_id)], body=body(SMALL, "part")
    )
    _compare(found, at + "a part of an older upload", part.status, 200)
    listed = s3.request("GET", "/clock", [("list-type", "2"), ("continuation-token", token)])
    behind = ["k10", "k11"]
    _compare(found, at + "the page behind an older token", listed.texts("Contents/Key")[:2], behind)


def _see_connection(found: list[str], s3: RawClient, idle: Connections, offset_s: int) -> None:
    """A connection that was idle is not closed because the clock says that a day has gone."""
    time.sleep(2.5)  # two ticks of the server's timeouts
    try:
        (answer,) = idle.burst([signed(s3, "GET", "/clock/k00")], "GET")
    except (ConnectionError, OSError) as error:
        found.append(f"at {offset_s} s, an idle connection: {error!r}")
    else:
        _compare(found, f"at {offset_s} s, an idle connection", answer.status, 200)


def _see_order(found: list[str], s3: RawClient) -> None:
    """The last commit wins, whatever the clock said then."""
    s3.clock_offset_s = 0
    got = s3.request("GET", "/clock/changed")
    _compare(found, "the object that was written last", got.body, body(SMALL, "clock0"))
    listed = s3.request("GET", "/clock", [("list-type", "2")])
    _compare(found, "keys after all", len(listed.texts("Contents/Key")), 31)
