"""The HTML report in a real browser."""

from __future__ import annotations

import collections
import dataclasses

import hostile_text
import pytest
import report_profiles
import report_runs
import report_samples
from browsers import Opened, Visit, wait_for_charts
from playwright.sync_api import Page

from pytest_llmbench.records import Run

pytestmark = pytest.mark.browser


PAGES = 8


def _elements(page: Page, which: str) -> collections.Counter[str]:
    """How often each element occurs, handlers included as `tag!attribute`."""
    found = page.evaluate(
        """which => [...document.querySelectorAll(which)].flatMap(e =>
            [e.localName, ...e.getAttributeNames().filter(n => n.startsWith('on')).map(n => e.localName + '!' + n)])""",
        which,
    )
    return collections.Counter(found)


def _open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wait_for_charts(page)
    for button in page.query_selector_all("button[data-outcome]"):
        button.click()
    page.mouse.move(600, 400)


def test_the_charts_are_drawn_with_every_value(visit: Visit) -> None:
    """A dot per request, a bar per model, the model's name above its lane; no word in the console."""
    opened = visit(report_runs.mixed_run())
    dots = opened.page.locator("[data-chart=ttft] .mark-symbol path")
    assert dots.count() == 20 + 20 + 8
    assert opened.page.locator("[data-chart=decode] .mark-rect path").count() == 3
    assert opened.page.locator("[data-chart=prompt] .mark-rect path").count() == 2
    names = opened.page.locator("[data-chart=ttft] svg").text_content()
    assert "smollm2-135m:Q4_1 · interactive" in names
    assert opened.console == []


def test_a_profiles_table_is_drawn_as_it_asks_and_the_machine_once_its_box_is_opened(visit: Visit) -> None:
    """A line chart for each unit, bars for names, every row a mark; what is closed costs nothing."""
    page = visit(report_profiles.profiles_run()).page
    lines = page.locator("[data-chart^='3/table/0/']")
    assert lines.count() == 3
    assert [lines.nth(i).locator(".mark-symbol path").count() for i in range(3)] == [3, 3, 3]
    assert page.locator("[data-chart='4/table/0/0'] .mark-rect path").count() == 3
    machine = page.locator("[data-chart^='3/time/']")
    assert machine.count() == 4
    assert machine.locator("svg").count() == 0
    page.get_by_text("The machine meanwhile").first.click()
    wait_for_charts(page)
    assert machine.locator("svg").count() == 4


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__"])
def test_a_column_may_be_called_as_things_that_objects_have(name: str, visit: Visit) -> None:
    """Vega looks an axis's title up in an object; a chart that cannot be drawn would end all that follow."""
    run = report_profiles.profiles_run()
    old = report_profiles.LONG_CONTEXT
    columns = [name, *old.columns[1:]]
    table = dataclasses.replace(old, columns=tuple(columns), chart={"kind": "line", "x": name, "y": [columns[1], name]})
    measured = dataclasses.replace(run.measurements[0], tables=(table,))
    opened = visit(dataclasses.replace(run, measurements=(measured,)))
    assert opened.page.locator("[data-chart^='0/table/'] svg").count() > 0
    assert opened.console == []


def test_a_report_asks_nobody_anything(visit: Visit) -> None:
    """One request: the file itself."""
    opened = visit(report_runs.mixed_run())
    _open_everything(opened.page)
    assert [url for url in opened.requests if not url.startswith("data:")] == [opened.page.url]


def assert_runs_nothing(plain: Opened, hostile: Opened) -> None:
    """The hostile page did nothing, and holds nothing that the plain one does not."""
    _open_everything(plain.page)
    _open_everything(hostile.page)
    page, drawing = "body :not(svg *)", "body svg *"
    assert _elements(hostile.page, page) == _elements(plain.page, page)
    # How many labels an axis has room for depends on their lengths; what kinds of elements there are does not.
    assert _elements(hostile.page, drawing).keys() <= _elements(plain.page, drawing).keys()
    assert hostile.page.evaluate("window.pwned") is None
    assert hostile.dialogs == []
    assert [url for url in hostile.requests if not url.startswith("data:")] == [hostile.page.url]
    assert hostile.console == []


def test_hostile_text_in_every_field_runs_nothing(visit: Visit) -> None:
    """No dialog, no request, no script, no violation reported, and not one element more than with harmless words."""
    harmless = tuple(f"word{i}" if text.strip() else text for i, text in enumerate(hostile_text.ALL))
    assert_runs_nothing(visit(hostile_text.hostile_run(harmless)), visit(hostile_text.hostile_run()))


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, PAGES))])
def test_every_payload_in_every_field_runs_nothing(visit: Visit, number: int) -> None:
    """Two hundred of them: each text of the report is an eighth of the corpus, and in eight reports all of it."""
    payloads = hostile_text.CORPUS[number::PAGES]
    words = [f"word{i}" for i in range(len(payloads))]
    plain = visit(hostile_text.hostile_run((" ".join(words), " ".join(reversed(words)))))
    hostile = visit(hostile_text.hostile_run((" ".join(payloads), " ".join(reversed(payloads)))))
    assert_runs_nothing(plain, hostile)


def test_the_corpus_has_two_hundred_payloads() -> None:
    assert len(set(hostile_text.CORPUS)) >= 200


def test_the_policy_stops_what_would_slip_through(visit: Visit) -> None:
    """An injected script, handler and picture do nothing: the second line holds without the first."""
    opened = visit(report_runs.passed_run())
    opened.page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.pwned = 1';
            document.body.append(script);
            const box = document.createElement('div');
            box.innerHTML = '<img src="https://example.invalid/x.png" onerror="window.pwned = 1">';
            document.body.append(box);
        }"""
    )
    opened.page.wait_for_timeout(300)
    assert opened.page.evaluate("window.pwned") is None
    assert len([line for line in opened.console if "Content Security Policy" in line]) >= 2


@pytest.mark.parametrize(
    "run",
    [
        report_runs.passed_run(),
        report_profiles.profiles_run(),
        report_runs.empty_run(),
        hostile_text.hostile_run(),
        report_samples.samples_run(2_000),
    ],
    ids=["passed", "profiles", "empty", "hostile", "samples"],
)
def test_a_phone_needs_no_horizontal_scrolling(run: Run, visit: Visit) -> None:
    """At 380 px the page is as wide as the screen, with everything opened, unbroken words of 3,000 letters included."""
    opened = visit(run, width=380)
    _open_everything(opened.page)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 380


def test_thousands_of_samples_make_a_page_of_few_elements(visit: Visit) -> None:
    """Filters count all of an outcome and show some; the interval of each pass rate is drawn, nothing is complained."""
    opened = visit(report_samples.samples_run(5_000))
    assert opened.page.locator("svg.interval").count() == 3
    assert opened.page.evaluate("document.querySelectorAll('*').length") < 10_000
    opened.page.get_by_role("button", name="wrong").click()
    assert opened.page.locator("tr[data-outcome]:visible").count() == 100
    assert opened.console == []


def test_tests_can_be_filtered_by_outcome(visit: Visit) -> None:
    """One button an outcome; `all` brings everything back."""
    page = visit(report_runs.mixed_run()).page
    shown = page.locator("tr[data-outcome]:visible")
    assert shown.count() == 8
    page.get_by_role("button", name="infra error 2").click()
    assert shown.count() == 2
    page.get_by_role("button", name="all 8").click()
    assert shown.count() == 8


def test_without_scripts_every_number_is_there(visit: Visit) -> None:
    """The tables stand by themselves, the page says so, and no filter is shown that would do nothing."""
    page = visit(report_runs.passed_run(), scripts=False).page
    assert page.get_by_text("This chart needs JavaScript").first.is_visible()
    assert page.get_by_role("cell", name="45.7 ms").first.is_visible()
    assert not page.locator(".filter").is_visible()


def test_the_page_follows_the_colour_scheme_and_prints_on_white(visit: Visit) -> None:
    """Charts take their colours from the page, so one drawing serves light, dark and paper."""
    page = visit(report_runs.passed_run(), scheme="dark").page
    background = "getComputedStyle(document.body).backgroundColor"
    label = "getComputedStyle(document.querySelector('[data-chart=ttft] .mark-text.role-mark text')).fill"
    dark = page.evaluate(background), page.evaluate(label)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background), page.evaluate(label)
    page.emulate_media(color_scheme="dark", media="print")
    assert dark == ("rgb(21, 24, 27)", "rgb(230, 233, 236)")
    assert light == ("rgb(251, 251, 250)", "rgb(28, 33, 38)")
    assert (page.evaluate(background), page.evaluate(label)) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")


def test_a_chart_has_a_text_alternative(visit: Visit) -> None:
    """A picture's role and a label that points to the tables."""
    page = visit(report_runs.passed_run()).page
    assert page.get_by_role("img", name="Time to first token of every request").count() == 1
