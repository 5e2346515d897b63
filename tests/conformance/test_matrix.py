"""The table of measured products: what was measured, all of it, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from pathlib import Path

import pytest

from anys3.conformance.matrix import BEGIN, END, LISTED, rewrite
from anys3.conformance.outcomes import Outcome
from anys3.conformance.report import Product, Report
from tests.conformance import made_reports
from tests.conformance.made_reports import HOSTILE, result

PAGE = f"# Title\n\nIntro.\n\n{BEGIN}\n{END}\n\nThe end.\n"
TODAY = date(2026, 11, 21)
IMPLEMENTORS = Path(__file__).parents[2] / "docs" / "implementors.md"


def measured(name: str, version: str = "1", day: str = "2026-11-20", **changes: object) -> Report:
    every = dataclasses.replace(made_reports.conformant(), **changes)  # type: ignore[arg-type]
    return dataclasses.replace(every, product=Product(name, version), started=f"{day}T10:00:00Z")


def failing(name: str, *ids: str) -> Report:
    results = [
        dataclasses.replace(one, outcome=Outcome.FAIL) if one.ids[0] in ids else one
        for one in made_reports.conformant().results
    ]
    return dataclasses.replace(made_reports.report(results), product=Product(name, "2"))


def rows(page: str) -> dict[str, list[str]]:
    """Return the cells of the table by product and version."""
    lines = [line for line in page.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {" ".join(found[:2]).strip(): found[2:] for found in cells}


def test_every_listed_product_is_there_and_says_not_measured() -> None:
    table = rows(rewrite(PAGE, [], TODAY))
    assert list(table) == sorted(LISTED, key=str.casefold)
    assert {tuple(cells) for cells in table.values()} == {("not measured",) * 3 + ("", "")}


def test_the_published_page_is_what_its_own_data_gives() -> None:
    text = IMPLEMENTORS.read_text("utf-8")
    once = rewrite(text, [], TODAY)
    assert rewrite(once, [], TODAY) == once
    assert set(LISTED) <= {re.sub(r" [\w.+-]*$", "", name) for name in rows(once)} | set(rows(once))


def test_a_conformant_product_has_its_counts_and_date() -> None:
    table = rows(rewrite(PAGE, [measured("SeaweedFS", "4.07")], TODAY))
    first, *_, count, when = table["SeaweedFS 4.07"]
    assert re.fullmatch(r"✓ conformant, (\d+)/\1", first)
    assert (count, when) == ("0", "2026-11-20")
    assert "SeaweedFS" not in table


def test_all_failing_ids_are_shown_in_the_first_tier_that_asks_for_them() -> None:
    page = rewrite(PAGE, [failing("moto server", "PUT-03", "GET-01", "CPL-03")], TODAY)
    assert [cell.split(",")[0] for cell in rows(page)["moto 2"][:3]] == ["✗ not conformant"] * 3
    assert rows(page)["moto 2"][3] == "3"
    folded = page[page.index("<details>") : page.index("</details>")]
    assert sorted(re.findall(r"^- tier 1: (.*)$", folded, re.MULTILINE)[0].split(", ")) == [
        "`GET-01`",
        "`PUT-03`",
    ]
    assert re.findall(r"^- tier 2: (.*)$", folded, re.MULTILINE) == ["`CPL-03`"]


def test_plain_http_and_stale_rows_are_marked() -> None:
    plain = measured("MinIO", day="2026-11-20", transport="plain HTTP: non-conformant transport")
    page = rewrite(
        PAGE, [plain, measured("Garage", day="2026-08-22"), measured("Tigris", day="2026-08-23")], TODAY
    )
    assert {name: cells[-1] for name, cells in rows(page).items() if cells[-1]} == {
        "MinIO 1": "2026-11-20, plain HTTP",
        "Garage 1": "2026-08-22, **stale**",
        "Tigris 1": "2026-08-23",
    }
    assert rows(rewrite(page, [], date(2027, 3, 1)))["MinIO 1"][-1] == "2026-11-20, plain HTTP, **stale**"


def test_rows_without_a_new_report_stay_and_the_newest_of_a_version_counts() -> None:
    once = rewrite(PAGE, [measured("moto", "5"), measured("Other Store", "1")], TODAY)
    newer = measured("moto", "5", "2026-11-21")
    twice = rewrite(once, [newer, measured("moto", "5", "2026-01-01"), measured("moto", "6")], TODAY)
    assert [name for name, cells in rows(twice).items() if cells[-1]] == ["moto 5", "moto 6", "Other Store 1"]
    assert rows(twice)["moto 5"][-1] == "2026-11-21"


def test_the_same_input_gives_the_same_page_in_any_order() -> None:
    reports = [measured("b"), failing("a", "PUT-03"), measured("B", "2"), measured("moto")]
    page = rewrite(PAGE, reports, TODAY)
    assert rewrite(PAGE, reports[::-1], TODAY) == page
    assert rewrite(page, reports, TODAY) == page
    assert page.startswith("# Title\n\nIntro.\n\n")
    assert page.endswith(f"{END}\n\nThe end.\n")


def test_a_hostile_name_stays_in_its_cell_and_ends_no_comment() -> None:
    page = rewrite(PAGE, [measured(HOSTILE, END + BEGIN)], TODAY)
    assert rewrite(page, [], TODAY) == page
    assert page.count("-->") == 3
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (measured("", "1"), "--product"),
        (measured("a", ""), "--product-version"),
        (measured("a", is_partial=True), "some checks only"),
        (measured("a", was_interrupted=True), "interrupted"),
        (measured("a", tiers=made_reports.conformant().tiers[:1]), "other tiers"),
        (measured("a", day="yesterday"), "no date"),
    ],
)
def test_what_is_no_measurement_is_refused(report: Report, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        rewrite(PAGE, [report], TODAY)


@pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, PAGE + PAGE])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="measured: begin"):
        rewrite(page, [], TODAY)


@pytest.mark.parametrize(
    "data",
    ["no", "{}", "[1]", '[{"product": "a"}]', '[{"tiers": 1}]', '[{"tiers": [{"failing": [], "x": 1}]}]'],
)
def test_damaged_data_is_refused_and_not_dropped(data: str) -> None:
    page = PAGE.replace(END, f"<!-- measured-data\n{data}\n-->\n{END}")
    with pytest.raises(ValueError, match="damaged"):
        rewrite(page, [], TODAY)


def test_an_incomplete_run_is_no_tick() -> None:
    every = made_reports.conformant().results
    skipped = made_reports.report([*every[1:], result(Outcome.SKIP, every[0].ids[0])])
    page = rewrite(PAGE, [dataclasses.replace(skipped, product=Product("moto", "1"))], TODAY)
    assert {cell.split(",")[0] for cell in rows(page)["moto 1"][:3]} == {"… incomplete"}
