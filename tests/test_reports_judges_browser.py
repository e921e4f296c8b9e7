"""The report's section about judges in a real browser: what it says, that it fits, that no verdict becomes markup."""

from __future__ import annotations

import json

import hostile_text
import pytest
import report_judges
import report_use_cases
from browsers import Opened, Visit
from judge_suites import court, judged_usecase
from playwright.sync_api import Locator, Page, expect
from suite_runs import stored_run

from pytest_llmbench.demo import Answer
from pytest_llmbench.records import Run

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=window.pwned=1><script>window.pwned=1</script>"
WIDE, PHONE = 1280, 390


def _section(page: Page) -> Locator:
    return page.locator("section[aria-labelledby=judges]")


def _row(page: Page, table: int, name: str, standing: str = "") -> list[str]:
    """The cells of a judge's row in one of the section's tables."""
    rows = _section(page).locator("table").nth(table).locator("tbody tr", has_text=name).filter(has_text=standing)
    assert rows.count() == 1
    return [cell.strip() for cell in rows.locator("td").all_inner_texts()]


def test_a_judge_held_against_people_is_shown_with_what_it_is_worth(visit: Visit) -> None:
    """Who counts and who only advises, agreement and kappa with their intervals, both kinds of errors, and leans."""
    opened = visit(report_judges.judges_run())
    page = opened.page
    expect(_section(page).locator("h3").first).to_contain_text("60 labels and 10 pairs of people")
    good = _row(page, 0, report_judges.GOOD, "✓ counts")
    kind = _row(page, 0, report_judges.KIND, "! advises")
    assert [cell.split("\n")[0] for cell in good] == ["60", "90.0 %", "0.80", "30 of 30", "24 of 30", "0 of 3", "0"]
    assert [cell.split("\n")[0] for cell in kind] == ["60", "50.0 %", "0.00", "30 of 30", "0 of 30", "0 of 3", "0"]
    assert good[1].split("\n")[1] == "79.9–95.3 %"
    assert _row(page, 1, report_judges.GOOD)[-2:] == ["50.0 %\n29.9–70.1 %", "0.0 %\n0.0–27.8 %"]
    assert _row(page, 1, report_judges.KIND)[-2:][1].startswith("100.0 %")
    said = _section(page).locator("li").all_inner_texts()
    assert said[0] == f"{report_judges.GOOD} counts: it agrees with people beyond chance (kappa 0.80)."
    assert "it is lenient: it passes 100 % of what people fail" in said[1]
    assert opened.console == []


def test_a_panel_that_is_not_of_one_mind_is_shown_judge_by_judge(visit: Visit) -> None:
    """Each judge's counts, standing, and corrected rate; how often they were divided; in a sample, who said what."""
    page = visit(report_judges.judges_run()).page
    good, kind = (_row(page, 2, name) for name in (report_judges.GOOD, report_judges.KIND))
    assert good[:6] == ["shop", "lab/m", "20", "20", "0", "0"]
    assert kind[:6] == ["shop", "lab/m", "36", "0", "4", "0"]
    assert good[7].startswith("50.0 %")
    assert kind[7] == "–"
    expect(_section(page)).to_contain_text("a panel of 2, divided on 55.6 %")
    expect(_section(page)).to_contain_text("the floor is 0.4")
    page.locator("select[name=outcome]").select_option(label="wrong (20)")
    expect(page.locator("#sample-count")).to_contain_text("20 of ")
    sample = page.locator("#sample-list > details").first
    sample.locator("summary").click()
    sample.locator(".exchange").wait_for()
    assert sample.locator("table.scores th.depth1").all_inner_texts() == [report_judges.GOOD, report_judges.KIND]
    assert sample.locator("table.scores tr:has(th.depth1) .badge").all_inner_texts() == ["failed", "passed"]


def _overflowing(page: Page) -> list[str]:
    """Cells, list items and paragraphs of the section whose text is wider than they are, or that leave the page."""
    found: list[str] = _section(page).evaluate(
        """section => [...section.querySelectorAll("th, td, li, p, h3, h4, .badge")]
            .filter(e => getComputedStyle(e.closest("thead") ?? e).position !== "absolute")
            .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
                || e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(e => e.textContent)"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("long", [False, True], ids=["usual", "long"])
def test_nothing_is_cut_off_or_reaches_over_the_edge(visit: Visit, width: int, scheme: str, long: bool) -> None:
    """On a screen and on a phone, in both colour schemes, with names and texts of 300 letters without a blank too."""
    texts = ("x" * 300,) if long else report_judges.WORDS
    judges = (f"lab/{'a' * 300}", f"lab/{'b' * 300}") if long else (report_judges.GOOD, report_judges.KIND)
    page = visit(report_judges.judges_run(texts, judges), width=width, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert _overflowing(page) == []


@pytest.mark.parametrize("run", [report_judges.judges_run(), report_use_cases.several_run()], ids=["judges", "several"])
def test_on_a_phone_every_value_says_what_it_is(visit: Visit, run: Run) -> None:
    """There the heads are gone: each cell that is shown carries its head's words."""
    page = visit(run, width=PHONE).page
    told: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll("table.stack.asked tbody td")].map(cell => [
            getComputedStyle(cell, "::before").content.replaceAll('"', ""),
            cell.closest("table").querySelectorAll("thead th")[cell.cellIndex].textContent])"""
    )
    assert len(told) > 20
    assert {(label, head) for label, head in told if label not in {head, f"Answer {head}"}} == set()


def test_the_words_of_a_section_can_be_read_in_the_dark(visit: Visit) -> None:
    """Marks and quiet words take the scheme's colours: what is light on paper is dark on none."""
    for scheme in ("light", "dark"):
        page = visit(report_judges.judges_run(), scheme=scheme).page
        for which in (".badge.good", ".badge.warn", "p.quiet", "tbody td"):
            assert _contrast(_section(page).locator(which).first) >= 4.5, (scheme, which)


def _contrast(what: Locator) -> float:
    """Of its letters with what they stand on, by WCAG: from 1 to 21."""
    found: float = what.evaluate(
        """element => {
            const luminance = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                    const share = part / 255;
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let ground = element;
            while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
            const both = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map(luminance);
            return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
        }"""
    )
    return found


def _opened(visited: Opened) -> Opened:
    visited.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    visited.page.wait_for_timeout(200)
    return visited


def _tags(page: Page) -> dict[str, int]:
    found: dict[str, int] = page.evaluate(
        """() => [...document.querySelectorAll("section[aria-labelledby=judges] *, #sample-list *")].reduce(
            (counts, e) => ({...counts, [e.localName]: (counts[e.localName] ?? 0) + 1}), {})"""
    )
    return found


def test_hostile_words_of_judges_and_rubrics_are_text(visit: Visit) -> None:
    """Reasons, quotes, names of judges, criteria and rubrics: not one element more than with harmless words."""
    names = (f"lab/{hostile_text.XSS[0]}", f"lab/{hostile_text.XSS[6]}")
    plain = _opened(visit(report_judges.judges_run()))
    hostile = _opened(visit(report_judges.judges_run(hostile_text.XSS, names)))
    assert _tags(hostile.page) == _tags(plain.page)
    assert hostile.page.evaluate("window.pwned") is None
    assert hostile.dialogs == []
    assert hostile.console == []


@pytest.mark.slow
def test_a_hostile_verdict_of_a_real_run_is_text(pytester: pytest.Pytester, visit: Visit) -> None:
    """The reply and the judge's reason both try to end the page's script; a second judge says nothing else at all."""
    judged_usecase(pytester.path, 2, front="panel: [lab/j, lab/k]")
    verdict = json.dumps({"criteria": {"rubric": {"reason": HOSTILE, "holds": False}}})
    cast = {"m": lambda _: Answer(HOSTILE), "j": lambda _: Answer(verdict), "k": lambda _: Answer(HOSTILE)}
    with court(pytester.path, **cast):
        pytester.runpytest_subprocess("shout")
    opened = _opened(visit(stored_run(pytester)))
    expect(_section(opened.page)).to_contain_text("lab/k")
    shown = opened.page.locator("#sample-list").inner_text()
    assert shown.count(HOSTILE) >= 4, "of each sample the reply and the reason"
    assert opened.page.locator("img").count() == 0
    assert opened.page.evaluate("window.pwned") is None
    assert opened.dialogs == []
    assert opened.console == []
