"""Headless Chromium against the server: presigned PUT with a CORS preflight, POST policy by fetch and by form."""

from __future__ import annotations

import contextlib
import html
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.interop.clients import Shell, tool

ANSWER_S = 90

SCRIPT = """
const told = {};
async function step(name, work) {
  try { told[name] = await work(); } catch (error) { told[name] = {thrown: String(error)}; }
}
async function answer(response) {
  return {status: response.status, etag: response.headers.get("etag"), hidden: response.headers.get("x-amz-request-id"),
          text: await response.text()};
}
async function main() {
  const plan = JSON.parse(document.getElementById("plan").textContent);
  await step("put", async () => answer(await fetch(plan.put, {method: "PUT", body: "put by a browser",
    headers: {"content-type": "text/x-browser", "x-amz-meta-shade": "blue"}})));
  await step("get", async () => answer(await fetch(plan.get)));
  await step("forbidden", async () => answer(await fetch(plan.forbidden, {method: "DELETE"})));
  await step("post", async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries(plan.post.fields)) form.append(name, value);
    form.append("file", new File(["posted by fetch"], "f\\u00fc.txt"));
    return answer(await fetch(plan.post.url, {method: "POST", body: form}));
  });
  await fetch("/told", {method: "POST", body: JSON.stringify(told)});
  const chosen = new DataTransfer();
  chosen.items.add(new File(["posted by a form"], "photo of \\u00fc.txt", {type: "text/plain"}));
  document.getElementById("file").files = chosen.files;
  document.getElementById("form").submit();
}
window.addEventListener("load", main);
"""


class Page:
    """A web site on loopback: hands out one page, takes what its script tells, and is redirected to."""

    def __init__(self) -> None:
        self.body = ""
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/done":
                    page.told.put(
                        ("done", {name: values[0] for name, values in parse_qs(parts.query).items()})
                    )
                self._say(page.body if parts.path == "/" else "<!doctype html>done", 200)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                page.told.put(("told", json.loads(body)))
                self._say("", 200)

            def _say(self, text: str, status: int) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the tests' output is not an access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as site:
        yield site


@contextlib.contextmanager
def _chromium(shell: Shell, url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        tool("chromium"),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
        "--remote-debugging-port=0",  # keeps headless Chromium open after the page is loaded
        f"--user-data-dir={shell.home / 'profile'}",
        url,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=shell.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # so that its renderers end with it
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _page_body(plan: dict[str, Any], form: dict[str, Any]) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in form["fields"].items()
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head><body>'
        f'<script type="application/json" id="plan">{json.dumps(plan)}</script>'
        f'<form id="form" method="post" enctype="multipart/form-data" action="{html.escape(form["url"])}">'
        f'{inputs}<input type="file" name="file" id="file"></form><script>{SCRIPT}</script></body></html>'
    )


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_a_browser_puts_and_posts_across_origins(
    signature: str,
    shell: Shell,
    client_of: Callable[..., Any],
    s3: Any,
    name: str,
    page: Page,
    tmp_path: Path,
    record_client: Callable[[str, str, str], None],
) -> None:
    version = shell.run(tool("chromium"), "--version").split()[1]
    signer = client_of(shell.server, signature_version=signature)
    s3.create_bucket(Bucket=name)
    rule = {
        "AllowedOrigins": [page.origin],
        "AllowedMethods": ["GET", "PUT", "POST"],
        "AllowedHeaders": ["content-type", "x-amz-meta-*"],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    put = {
        "Bucket": name,
        "Key": "put ü+%.txt",
        "ContentType": "text/x-browser",
        "Metadata": {"shade": "blue"},
    }
    form = signer.generate_presigned_post(
        name,
        "form/${filename}",
        Fields={"success_action_redirect": f"{page.origin}/done", "acl": "private"},
        Conditions=[
            ["starts-with", "$key", "form/"],
            {"success_action_redirect": f"{page.origin}/done"},
            {"acl": "private"},
            ["content-length-range", 1, 1000],
        ],
    )
    post = signer.generate_presigned_post(
        name,
        "fetched",
        Fields={"success_action_status": "201", "Content-Type": "text/x-posted"},
        Conditions=[{"success_action_status": "201"}, {"Content-Type": "text/x-posted"}],
    )
    plan = {
        "put": signer.generate_presigned_url("put_object", put),
        "get": signer.generate_presigned_url("get_object", {"Bucket": name, "Key": put["Key"]}),
        "forbidden": signer.generate_presigned_url("delete_object", {"Bucket": name, "Key": put["Key"]}),
        "post": post,
    }
    page.body = _page_body(plan, form)
    with _chromium(shell, f"{page.origin}/", tmp_path / "chromium.log"):
        kind, told = page.told.get(timeout=ANSWER_S)
        assert kind == "told"
        kind, redirected = page.told.get(timeout=ANSWER_S)
        assert kind == "done", told

    assert told["put"].get("status") == 200, told
    written = s3.get_object(Bucket=name, Key=put["Key"])
    assert written["Body"].read() == b"put by a browser"
    assert (written["ContentType"], written["Metadata"]) == ("text/x-browser", {"shade": "blue"})
    # ETag is exposed by the rule, x-amz-request-id is not; DELETE is not allowed, so its preflight fails.
    assert told["put"] == {"status": 200, "etag": written["ETag"], "hidden": None, "text": ""}
    assert told["get"] == {"status": 200, "etag": written["ETag"], "hidden": None, "text": "put by a browser"}
    assert "thrown" in told["forbidden"]
    posted = s3.get_object(Bucket=name, Key="fetched")
    assert (posted["Body"].read(), posted["ContentType"]) == (b"posted by fetch", "text/x-posted")
    assert told["post"]["status"] == 201
    assert "<Key>fetched</Key>" in told["post"]["text"]
    formed = s3.get_object(Bucket=name, Key="form/photo of ü.txt")
    assert formed["Body"].read() == b"posted by a form"
    assert redirected == {"bucket": name, "key": "form/photo of ü.txt", "etag": formed["ETag"]}
    way = "SigV4" if signature == "s3v4" else "SigV2"
    record_client(
        "Chromium",
        version,
        f"{way}: presigned PUT and GET by fetch with preflight, refused DELETE, POST policy by fetch (201) and by a form"
        " (redirect)",
    )


def test_a_browser_on_another_origin_is_kept_out(
    shell: Shell,
    s3: Any,
    name: str,
    page: Page,
    tmp_path: Path,
    record_client: Callable[[str, str, str], None],
) -> None:
    version = shell.run(tool("chromium"), "--version").split()[1]
    s3.create_bucket(Bucket=name)
    rule = {
        "AllowedOrigins": ["https://example.com"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
    }
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket=name, Key="k", Body=b"secret")
    post = s3.generate_presigned_post(name, "fetched")
    params = {"Bucket": name, "Key": "k"}
    plan = {
        "put": s3.generate_presigned_url("put_object", params | {"Metadata": {"shade": "blue"}}),
        "get": s3.generate_presigned_url("get_object", params),
        "forbidden": s3.generate_presigned_url("delete_object", params),
        "post": post,
    }
    page.body = _page_body(plan, post)
    with _chromium(shell, f"{page.origin}/", tmp_path / "chromium.log"):
        _, told = page.told.get(timeout=ANSWER_S)
    assert all("thrown" in told[step] for step in ("put", "get", "forbidden", "post")), told
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"secret"
    record_client("Chromium", version, "kept out on an origin that no rule allows")
