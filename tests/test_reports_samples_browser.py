"""The list of samples and the charts of use cases, in a real browser."""

from __future__ import annotations

import collections
import dataclasses

import hostile_text
import hostile_use_cases
import pytest
import report_use_cases
from browsers import Visit
from playwright.sync_api import Locator, Page, expect

from pytest_llmbench.records import Run

pytestmark = pytest.mark.browser


def _rows(page: Page) -> Locator:
    return page.locator("#sample-list > details")


def _opened(page: Page, number: int = 0) -> Locator:
    """The nth sample of the list, opened."""
    row = _rows(page).nth(number)
    row.locator("summary").click()
    row.locator(".exchange").wait_for()
    return row


def test_samples_that_need_an_eye_come_first_and_are_shown_page_by_page(visit: Visit) -> None:
    """Fifty at a time, however many there are."""
    page = visit(report_use_cases.several_run()).page
    expect(page.locator("#sample-count")).to_have_text("148 samples, 1 to 50 shown")
    assert _rows(page).count() == 50
    assert _rows(page).first.locator(".badge").text_content() == "wrong"
    page.get_by_role("button", name="next").click()
    expect(page.locator("#sample-count")).to_have_text("148 samples, 51 to 100 shown")
    page.get_by_role("button", name="next").click()
    assert _rows(page).count() == 48
    assert page.get_by_role("button", name="next").is_disabled()


def test_samples_are_chosen_by_use_case_model_outcome_tag_and_text(visit: Visit) -> None:
    """All of them together; the text is looked for in ids, prompts, replies and reasons."""
    page = visit(report_use_cases.several_run()).page
    count = page.locator("#sample-count")
    page.locator("select[name=case]").select_option(label="Support triage")
    expect(count).to_contain_text("96 of 148 samples")
    page.locator("select[name=model]").select_option(label=report_use_cases.MODELS[3])
    expect(count).to_have_text("24 of 148 samples")
    page.locator("select[name=label]").select_option(label="difficulty: hard")
    expect(count).to_have_text("8 of 148 samples")
    page.locator("select[name=outcome]").select_option(label="wrong (27)")
    expect(count).to_have_text("6 of 148 samples")
    page.locator("input[name=text]").fill("MESSAGE-0002")
    expect(count).to_have_text("1 of 148 samples")
    page.locator("input[name=text]").fill("nowhere to be found")
    expect(count).to_have_text("0 of 148 samples")
    assert _rows(page).count() == 0


def test_a_sample_shows_prompt_replies_expected_answer_difference_and_scores(visit: Visit) -> None:
    """Made when it is opened: a closed one is five words."""
    opened = visit(report_use_cases.several_run())
    page = opened.page
    page.locator("input[name=text]").fill("message-0000")
    page.locator("select[name=outcome]").select_option(label="wrong (27)")
    expect(page.locator("#sample-count")).to_have_text("1 of 148 samples")
    assert _rows(page).first.locator("pre").count() == 0
    row = _opened(page)
    said = row.text_content() or ""
    assert report_use_cases.SYSTEM in said
    assert "1 of 3 trials passed, reducer majority" in said
    assert "trial 1: failed, the scores above are its" in said
    assert '{"queue": "billing", "urgent": true}' in said
    assert row.locator("table.scores tr").count() == 4
    assert row.locator("table.scores th.depth1").all_text_contents() == ["queue", "urgent"]
    assert row.locator("pre.diff del").all_text_contents() == ['  "queue": "billing"\n']
    assert '"queue": "delivery"' in "".join(row.locator("pre.diff ins").all_text_contents())
    assert opened.console == []


def test_words_are_compared_word_by_word_where_the_answer_is_no_json(visit: Visit) -> None:
    """And nothing is compared where the two have nothing in common."""
    run = report_use_cases.several_run()
    page = visit(run).page
    page.locator("select[name=case]").select_option(label="summaries")
    expect(page.locator("#sample-count")).to_have_text("16 of 148 samples")
    row = _opened(page)
    same = "".join(row.locator("pre.diff span").all_text_contents())
    assert "moved" in same
    assert "tests" in "".join(row.locator("pre.diff del").all_text_contents())
    strange = tuple(dataclasses.replace(reply, text="§") for reply in run.replies)
    page = visit(dataclasses.replace(run, replies=strange)).page
    page.locator("select[name=case]").select_option(label="summaries")
    expect(page.locator("#sample-count")).to_have_text("16 of 148 samples")
    assert _opened(page).locator("pre.diff").count() == 0


def test_one_button_shows_what_all_models_said_to_a_sample(visit: Visit) -> None:
    """The filters are let go for it."""
    page = visit(report_use_cases.triage_run(20)).page
    page.locator("select[name=outcome]").select_option(index=1)
    expect(page.locator("#sample-count")).to_contain_text("of 80 samples")
    _opened(page).get_by_role("button", name="all models on this sample").click()
    expect(page.locator("#sample-count")).to_have_text("4 of 80 samples")
    assert len(set(page.locator("#sample-list .name").all_text_contents())) == 1
    assert len(set(page.locator("#sample-list .of").all_text_contents())) == 4


def test_thousands_of_samples_make_a_page_of_few_elements(visit: Visit) -> None:
    """Their texts stand in the page once; what is looked at is made of them then."""
    opened = visit(report_use_cases.triage_run(1_250))
    page = opened.page
    expect(page.locator("#sample-count")).to_have_text("5,000 samples, 1 to 50 shown")
    assert page.evaluate("document.querySelectorAll('*').length") < 2_000
    page.locator("input[name=text]").fill("parcel 1249")
    expect(page.locator("#sample-count")).to_have_text("4 of 5,000 samples")
    assert opened.console == []


def test_a_point_stands_for_each_model_and_the_front_is_joined(visit: Visit) -> None:
    """Price and speed; a model whose price nobody knows is in the second alone."""
    opened = visit(report_use_cases.triage_run(24))
    page = opened.page
    price, speed = page.locator("[data-chart='case/0/price']"), page.locator("[data-chart='case/0/speed']")
    price.locator("svg").wait_for()
    speed.locator("svg").wait_for()
    assert price.locator(".mark-symbol path").count() == 3
    assert speed.locator(".mark-symbol path").count() == 4
    names = speed.locator(".mark-text.role-mark text").all_text_contents()
    assert sorted(names) == ["claude-haiku-4-5", "llama-3.3-70b-instruct", "mini", "smollm2-135m:Q4_1"]
    assert price.locator(".mark-line path").count() == 1
    assert opened.console == []


def _open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for button in page.query_selector_all("button[data-step]"):
        if button.is_visible() and button.is_enabled():
            button.click()
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_timeout(200)


def _elements(page: Page, which: str) -> collections.Counter[str]:
    found = page.evaluate(
        """which => [...document.querySelectorAll(which)].flatMap(e =>
            [e.localName, ...e.getAttributeNames().filter(n => n.startsWith('on')).map(n => e.localName + '!' + n)])""",
        which,
    )
    return collections.Counter(found)


@pytest.mark.parametrize(
    "texts",
    [
        hostile_text.ALL,
        *(
            pytest.param((" ".join(part), " ".join(reversed(part))), marks=pytest.mark.slow)
            for part in (hostile_text.CORPUS[number::4] for number in range(4))
        ),
    ],
    ids=["each", "part1", "part2", "part3", "part4"],
)
def test_hostile_text_in_every_sample_runs_nothing(texts: tuple[str, ...], visit: Visit) -> None:
    """No dialog, no request, no script: what a model wrote becomes text, where the page makes rows too."""
    harmless = tuple(f"word{i}" if text.strip() else text for i, text in enumerate(texts))
    plain, hostile = visit(hostile_use_cases.hostile_run(harmless)), visit(hostile_use_cases.hostile_run(texts))
    for opened in (plain, hostile):
        _open_everything(opened.page)
    outside = "body :not(svg *, #sample-list *)"
    assert _elements(hostile.page, outside) == _elements(plain.page, outside)
    kinds = {*_elements(plain.page, "#sample-list *"), "ins", "del", "span", "pre", "h4"}
    assert _elements(hostile.page, "#sample-list *").keys() <= kinds
    assert hostile.page.evaluate("window.pwned") is None
    assert hostile.dialogs == []
    assert [url for url in hostile.requests if not url.startswith("data:")] == [hostile.page.url]
    assert hostile.console == []


@pytest.mark.parametrize(
    "run", [report_use_cases.several_run(), hostile_use_cases.hostile_run()], ids=["several", "hostile"]
)
def test_a_phone_needs_no_horizontal_scrolling(run: Run, visit: Visit) -> None:
    """At 380 px the page is as wide as the screen, with everything opened."""
    page = visit(run, width=380).page
    _open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_without_scripts_the_tables_stand_and_the_list_says_where_else_the_samples_are(visit: Visit) -> None:
    """No filter is shown that would do nothing."""
    page = visit(report_use_cases.triage_run(8), scripts=False).page
    assert page.get_by_role("heading", name="Support triage").is_visible()
    assert page.get_by_text("This list needs JavaScript").is_visible()
    assert not page.locator("select[name=outcome]").is_visible()
