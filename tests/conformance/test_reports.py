"""The forms of a report for people and machines: complete, and safe whatever a server answered."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anys3.conformance.outcomes import Outcome
from anys3.conformance.report import Report, to_json
from anys3.conformance.reports.badge import to_shields, to_svg
from anys3.conformance.reports.console import Progress, summary
from anys3.conformance.reports.html import to_html
from anys3.conformance.reports.junit import to_junit
from anys3.conformance.reports.markdown import plain, to_markdown
from anys3.conformance.reports.reading import from_json
from anys3.conformance.reports.wording import expected_and_got, tier_bar
from anys3.spec import catalogue
from tests.broken_servers import BreakableServer
from tests.conformance import made_reports
from tests.conformance.made_reports import HOSTILE, result

EVERY = [
    made_reports.conformant,
    made_reports.of_every_outcome,
    made_reports.hostile,
    made_reports.empty,
]
FORMS: list[Callable[[Report], str]] = [
    to_html, to_junit, to_markdown, to_svg, to_shields, lambda report: summary(report, 80, is_colored=False),
]  # fmt: skip


@pytest.fixture(scope="module")
def real(breakable: BreakableServer, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return made_reports.real(breakable, tmp_path_factory.mktemp("journals"))


# --- every form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", EVERY)
def test_every_form_is_utf_8_without_control_characters(
    form: Callable[[Report], str], make: Callable[[], Report]
) -> None:
    text = form(make())
    assert text.encode()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ufffe\uffff]", text) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_made_of_a_real_run(real: Report, form: Callable[[Report], str]) -> None:
    assert {Outcome.PASS, Outcome.FAIL, Outcome.SKIP} <= {one.outcome for one in real.results}
    assert form(real)


@pytest.mark.parametrize("form", [to_html, to_junit, to_markdown])
def test_a_failure_says_what_it_breaks_and_how_it_is_seen_again(
    real: Report, form: Callable[[Report], str]
) -> None:
    reason = catalogue.reason("HTTP-05")
    assert reason is not None
    text = form(real).replace("&#x27;", "'").replace("&#58;", ":")
    assert reason.breaks in text
    assert f"anys3 check {real.endpoint} HTTP-05/own-request-id" in text


# --- JUnit -------------------------------------------------------------------------------------------------

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {
        "name", "package", "id", "hostname", "timestamp", "tests", "failures", "errors", "skipped", "time",
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message", "type"},
    "system-out": set(),
    "system-err": set(),
}  # fmt: skip
"""What the common schema of JUnit's XML has."""


@pytest.mark.parametrize("make", EVERY)
def test_junit_keeps_to_the_common_schema(make: Callable[[], Report]) -> None:
    root = ET.fromstring(to_junit(make()))
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag]
    for suite in root:
        tags = [child.tag for child in suite]
        assert (tags[0], tags[-2:]) == ("properties", ["system-out", "system-err"])
        assert set(tags[1:-2]) == {"testcase"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])


def test_junit_has_a_case_for_each_check_and_its_totals_are_right() -> None:
    report = made_reports.of_every_outcome()
    root = ET.fromstring(to_junit(report))
    cases = {case.attrib["name"]: [child.tag for child in case] for case in root.iter("testcase")}
    assert len(cases) == len(report.results) == int(root.attrib["tests"])
    kinds = {one.outcome: cases[one.check] for one in report.results if not one.notes}
    assert kinds == {
        Outcome.PASS: [],
        Outcome.WARN: ["system-out"],
        Outcome.SKIP: ["skipped"],
        Outcome.BLOCKED: ["skipped"],
        Outcome.FLAKY: ["failure"],
        Outcome.ERROR: ["error"],
        Outcome.ABSENT: ["failure"],
        Outcome.FAIL: ["failure"],
    }
    assert (root.attrib["failures"], root.attrib["errors"]) == ("3", "1")
    assert [suite.attrib["skipped"] for suite in root] == ["2", "0", "0"]


def test_a_should_that_is_flaky_does_not_break_a_build() -> None:
    report = made_reports.report([result(Outcome.FLAKY, "CPL-13", level="SHOULD")])
    assert ET.fromstring(to_junit(report)).attrib["failures"] == "0"


# --- Markdown ----------------------------------------------------------------------------------------------


@given(st.text(max_size=60) | st.sampled_from([HOSTILE, "@all", "#1", "a://b", "WWW.x"]))
def test_plain_text_in_markdown_holds_no_markup_link_or_mention(text: str) -> None:
    shown = plain(text).replace("&#58;", "").replace("&#46;", "")
    assert re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~]|[<>\n\r]|://|www\.|[@#]\w", shown, re.IGNORECASE) is None


def test_markdown_of_a_hostile_server_has_no_element_but_its_own() -> None:
    text = to_markdown(made_reports.hostile())
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert set(re.findall(r"<[^>]*>", outside)) <= {"<details>", "<summary>", "</summary>", "</details>"}


def test_markdown_fits_into_a_comment_and_says_what_was_left_out() -> None:
    results = [result(Outcome.FAIL, "PUT-03", f"check-{number}", sentence="x" * 200) for number in range(900)]
    text = to_markdown(made_reports.report([*results, result(Outcome.FAIL, "GET-01", "other")]))
    assert len(text) < 65_536
    assert re.search(r"and \d+ more", text)


def test_markdown_has_a_row_for_each_tier() -> None:
    report = made_reports.of_every_outcome()
    rows = re.findall(r"^\| tier \d .*\|$", to_markdown(report), re.MULTILINE)
    assert len(rows) == 3
    assert {row.count("|") for row in rows} == {7}


# --- the badge ---------------------------------------------------------------------------------------------


def only_tier_1_passes() -> Report:
    every = made_reports.conformant()
    tiers = catalogue.tiers()
    own = {row.id for row in catalogue.requirements() if row.profile in tiers["tier-1"].profiles}
    broken = [
        one if one.ids[0] in own else dataclasses.replace(one, outcome=Outcome.FAIL) for one in every.results
    ]
    return made_reports.report(broken)


BADGES = [
    (made_reports.conformant, "tier 3 conformant"),
    (only_tier_1_passes, "tier 1 conformant"),
    (made_reports.of_every_outcome, "not conformant"),
    (made_reports.empty, "incomplete"),
    (lambda: dataclasses.replace(made_reports.conformant(), was_interrupted=True), "incomplete"),
    (
        lambda: made_reports.report([result(Outcome.PASS, sentence="")], is_partial=True),
        "chosen checks passed",
    ),
]


@pytest.mark.parametrize(("make", "said"), BADGES)
def test_the_badge_says_the_highest_tier_that_was_judged_whole(make: Callable[[], Report], said: str) -> None:
    image = ET.fromstring(to_svg(make()))
    space = "{http://www.w3.org/2000/svg}"
    assert [element.text for element in image.iter(f"{space}text")] == ["anys3", said]
    title = image.find(f"{space}title")
    assert title is not None
    assert image.attrib["aria-labelledby"] == title.attrib["id"]
    assert f"Example Store 4.2: {said}" in str(title.text)
    shields = json.loads(to_shields(make()))
    assert (shields["schemaVersion"], shields["label"], shields["message"]) == (1, "anys3", said)


def test_white_letters_can_be_read_on_every_badge() -> None:
    images = [to_svg(make()) for make, _ in BADGES]
    fills = {fill for image in images for fill in re.findall(r'fill="(#[0-9a-f]{6})"', image)}
    assert len(fills) == 5
    assert [fill for fill in fills if made_reports.contrast(fill, "#ffffff") < 4.5] == []


# --- reading back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [made_reports.conformant, made_reports.of_every_outcome, made_reports.empty])
def test_a_report_is_read_back_as_it_was(make: Callable[[], Report]) -> None:
    assert from_json(json.dumps(to_json(make()))) == make()


def test_a_real_report_is_read_back_as_it_was(real: Report) -> None:
    assert from_json(json.dumps(to_json(real))) == real


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("tiers"), "no 'tiers'"),
        (lambda row: row.update(tiers={}), "report.tiers: expected a list"),
        (lambda row: row.update(format=99), "format 99"),
        (lambda row: row.pop("format"), "no `format`"),
        (lambda row: row.update(extra=1), "extra"),
        (lambda row: row.update(seconds="long"), "report.seconds: expected float"),
        (lambda row: row.update(asked="tier-9"), "'tier-9'"),
        (lambda row: row.update(was_interrupted=1), "report.was_interrupted: expected bool"),
        (lambda row: row["results"][0].update(outcome="GREAT"), "report.results[0].outcome"),
        (lambda row: row["results"][0].update(ids="PUT-03"), "report.results[0].ids"),
        (lambda row: row["tiers"][0].update(musts={"PASS": "many"}), "report.tiers[0].musts.PASS"),
        (lambda row: row.update(requests=[]), "report.requests: expected an object"),
    ],
)
def test_what_is_wrong_in_a_report_is_said(change: Callable[[dict[str, object]], object], said: str) -> None:
    row = to_json(made_reports.of_every_outcome())
    row = json.loads(json.dumps(row))
    change(row)
    with pytest.raises(ValueError, match=re.escape(said)):
        from_json(json.dumps(row))


@pytest.mark.parametrize("text", ["", "no", "[]", "null", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"report|JSON"):
        from_json(text)


def test_a_verdict_that_was_edited_is_not_believed() -> None:
    row = to_json(made_reports.of_every_outcome())
    row["verdict"] = "CONFORMANT"
    assert from_json(json.dumps(row)).verdict == "NOT CONFORMANT"


# --- sentences ---------------------------------------------------------------------------------------------


def test_several_findings_in_a_sentence_are_told_apart() -> None:
    sentence = "GET /a: expected 404, got b'x; y'; HEAD /a: expected a header, got none"
    assert expected_and_got(sentence) == [("GET /a", "404", "b'x; y'"), ("HEAD /a", "a header", "none")]
    assert expected_and_got("It was slow.") == []
    report = made_reports.report([result(Outcome.FAIL, sentence=sentence)])
    assert "and 1 more like this" in to_html(report)
    assert "expected 404, got b'x; y' (and 1 more)" in summary(report, 120, is_colored=False)


# --- the console -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("make", EVERY)
def test_the_summary_keeps_to_the_width(make: Callable[[], Report], width: int) -> None:
    lines = summary(make(), width, is_colored=False).splitlines()
    allowed = max(width, 80)  # the lines with names of products and bars are not wrapped
    assert [line for line in lines if len(line) > allowed and not line.startswith(made_start(make()))] == []


def made_start(report: Report) -> str:
    return summary(report, 40, is_colored=False).splitlines()[0][:10]


def test_colours_are_all_that_a_coloured_summary_has_besides() -> None:
    report = made_reports.of_every_outcome()
    colored = summary(report, 100, is_colored=True)
    assert "\x1b[31m" in colored
    assert re.sub(r"\x1b\[[\d;]+m", "", colored) == summary(report, 100, is_colored=False)


def test_the_summary_groups_failures_and_ends_with_the_verdict(real: Report) -> None:
    text = summary(real, 100, is_colored=False)
    order = [
        text.index(word) for word in ("Failures:", "HTTP-05", "Skipped:", "tier 1", "NOT CONFORMANT: tier 3")
    ]
    assert order == sorted(order)


@given(st.lists(st.sampled_from(list(Outcome)), max_size=40), st.integers(10, 60))
def test_a_bar_has_its_width_and_shows_every_part(outcomes: list[Outcome], cells: int) -> None:
    ids = [row.id for row in catalogue.requirements() if row.level == "MUST"]
    report = made_reports.report(result(outcome, id) for outcome, id in zip(outcomes, ids, strict=False))
    for tier in report.tiers:
        bar = dict(tier_bar(tier, cells))
        assert sum(bar.values()) == cells
        assert (bar[Outcome.FAIL] > 0) == (tier.musts.get(Outcome.FAIL, 0) > 0)
        assert (bar[Outcome.ABSENT] > 0) == (tier.musts.get(Outcome.ABSENT, 0) > 0)


def test_a_live_line_is_rewritten_and_taken_away() -> None:
    written: list[str] = []
    progress = Progress(3, written.append, is_live=True)
    progress.tell(result(Outcome.PASS))
    progress.tell(result(Outcome.FAIL))
    progress.end()
    progress.end()
    assert all("\n" not in text and text.startswith("\r\x1b[K") for text in written)
    assert "2/3  1 passed, 1 failing" in written[1]
    assert written[2:] == ["\r\x1b[K"]


def test_without_a_terminal_only_failures_are_told() -> None:
    written: list[str] = []
    progress = Progress(3, written.append, is_live=False)
    for outcome in (Outcome.PASS, Outcome.SKIP, Outcome.FAIL, Outcome.ABSENT):
        progress.tell(result(outcome, title="a\x1b[2Jtitle"))
    progress.end()
    assert written == [
        "FAIL PUT-03/fail: a\\x1b[2Jtitle\n",
        "ABSENT PUT-03/absent: a\\x1b[2Jtitle\n",
    ]


def test_progress_hears_of_many_threads() -> None:
    written: list[str] = []
    progress = Progress(400, written.append, is_live=True)
    threads = [
        threading.Thread(target=lambda: [progress.tell(result(Outcome.PASS)) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int(re.findall(r"(\d+)/400", text)[0]) for text in written] == list(range(1, 401))
