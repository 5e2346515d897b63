"""The HTML report: complete without its script, safe whatever a server answered, and readable."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from anys3.conformance.outcomes import Outcome
from anys3.conformance.report import Report
from anys3.conformance.reports.console import summary
from anys3.conformance.reports.html import to_html
from anys3.conformance.reports.markdown import to_markdown
from tests.broken_servers import BreakableServer
from tests.conformance import made_reports
from tests.conformance.made_reports import contrast

EVERY = [made_reports.conformant, made_reports.of_every_outcome, made_reports.hostile, made_reports.empty]


@pytest.fixture(scope="module")
def real(breakable: BreakableServer, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return made_reports.real(breakable, tmp_path_factory.mktemp("journals"))


class Page(HTMLParser):
    """What a browser sees of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.texts: dict[str, str] = {"style": "", "script": "", "title": ""}
        self.visible = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "rect", "path", "circle", "br"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"rect", "path", "circle"}:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] in self.texts:
            self.texts[self.stack[-1]] += data
        self.visible += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("make", EVERY)
def test_the_page_is_well_formed_with_unique_ids_and_labels_that_exist(make: Callable[[], Report]) -> None:
    page = Page(to_html(make()))
    assert page.stack == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in ("href", "aria-labelledby", "data-copy"):
        used = {str(attributes[name]).removeprefix("#") for _, attributes in page.tags if name in attributes}
        assert used <= set(ids)
    assert len(page.all("h1")) == len(page.all("main")) == 1


@pytest.mark.parametrize("make", EVERY)
def test_the_page_fetches_nothing_and_runs_nothing_but_its_own_script(make: Callable[[], Report]) -> None:
    page = Page(to_html(make()))
    assert {"img", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags} == set()
    names = {name for _, attributes in page.tags for name in attributes}
    assert {name for name in names if name.startswith("on") or name in ("src", "style")} == set()
    assert len(page.all("script")) == len(page.all("style")) == 1
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_what_a_hostile_server_says_is_shown_as_text() -> None:
    page = Page(to_html(made_reports.hostile()))
    assert "<script>alert(1)</script>" in page.visible
    assert "alert" not in page.texts["script"]


def test_every_result_can_be_filtered_and_is_shown_without_the_script(real: Report) -> None:
    page = Page(to_html(real))
    items = [attributes for _, attributes in page.tags if "data-outcome" in attributes]
    assert {item["data-operation"] for item in items} == {one.operation for one in real.results}
    assert {one.outcome.value for one in real.results} == {item["data-outcome"] for item in items}
    assert all((item["data-tier"] or "") in "123" and item["data-tier"] for item in items)
    assert [item for item in items if "hidden" in item] == []
    assert all(one.check in page.visible for one in real.results)


def test_the_page_shows_requests_and_answers_of_failures(real: Report) -> None:
    failed = next(one for one in real.results if one.outcome is Outcome.FAIL)
    page = Page(to_html(real))
    assert failed.exchanges
    assert all(f"{one.method} {one.target} HTTP/1.1" in page.visible for one in failed.exchanges)
    assert "Signature=(redacted)" in page.visible
    assert "curl --silent" in page.visible


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (made_reports.conformant, "Conformant: tier 3"),
        (made_reports.of_every_outcome, "Not conformant: tier 3"),
        (made_reports.empty, "Incomplete: tier 3"),
    ],
)
def test_the_page_begins_with_the_verdict(make: Callable[[], Report], said: str) -> None:
    text = Page(to_html(make())).visible
    assert said in text
    assert ("The run ended early" in text) == make().was_interrupted


def test_what_was_left_behind_is_told_in_every_form_for_people() -> None:
    report = made_reports.report([], leftovers=("bucket a3-left is still there",))
    for form in (to_html, to_markdown, lambda one: summary(one, 80, is_colored=False)):
        assert "bucket a3-left is still there" in form(report)
        assert "Left behind" in form(report)


def test_a_report_can_be_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(to_html(made_reports.hostile()), "utf-8")
    assert Page(file.read_text("utf-8")).stack == []


# --- colours -----------------------------------------------------------------------------------------------


INKS = [
    *((ink, paper) for ink in ("ink", "faint", "link") for paper in ("paper", "raised", "sunk")),
    *((name, f"{name}-back") for name in ("pass", "fail", "absent", "open", "none")),
    *(("ink", f"{name}-back") for name in ("pass", "fail", "open")),
]


def themes() -> list[dict[str, str]]:
    css = Page(to_html(made_reports.empty())).texts["style"]
    blocks = re.findall(r"\{([^{}]*--paper:[^{}]*)\}", css)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]


def test_every_ink_can_be_read_on_its_paper_in_light_and_dark() -> None:
    light, dark, dark_by_system = themes()
    assert dark == dark_by_system
    poor = [
        pair for theme in (light, dark) for pair in INKS if contrast(theme[pair[0]], theme[pair[1]]) < 4.5
    ]
    assert poor == []


# --- in a browser ------------------------------------------------------------------------------------------

BROWSER_S = 90


def test_a_browser_runs_the_script_of_the_page_and_nothing_of_the_server(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium")
    file = tmp_path / "report.html"
    file.write_text(to_html(made_reports.hostile()), "utf-8")
    command = [
        chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    dumped = subprocess.run(command, capture_output=True, env=environment, timeout=BROWSER_S, check=True)
    page = Page(dumped.stdout.decode())
    items = [attributes for _, attributes in page.tags if "data-outcome" in attributes]
    assert f"{len(items)} of {len(items)} shown" in page.visible
    assert [
        attributes for _, attributes in page.tags if "data-script" in attributes and "hidden" in attributes
    ] == []
    assert len(page.all("script")) == 1
    assert page.all("img") == []
