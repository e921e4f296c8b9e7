"""Guards: what a reply made up is found, what it only says in other words is not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_validators import scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators import calendar_dates, time_marks
from pytest_llmbench.validators.declared import declared
from pytest_llmbench.validators.figures import figures
from pytest_llmbench.validators.material import Material

MEETING = """
[00:00:05] Anna Maria Schmidt (Nordwind GmbH): Revenue was 1,234,567 euros in Q3 2025, up 12.34%. The World Health
Organization opened its office in São Paulo on 3 May 2024.
[00:45:10] Peter O'Neill: invoice INV-2041 is due on 12 March, twelve boxes, 1.200,50 EUR. Budget 2026 comes next.
"""


@pytest.mark.parametrize(
    "reply",
    [
        "Revenue was 1234567 euros.",
        "Revenue was 1.234.567 euros.",
        "Revenue was about 1.2 million euros, up 12%.",
        "It rose by 12.3 percent.",
        "Twelve boxes, that is 12, for €1,200.50.",
        "1. The first point\n2. The second [1]\n3) The third [2, 3]",
        "On 3 May 2024 at 00:45:10.",
        "Invoice INV-2041 of Q3.",
        "In 2025 and 2026.",
        "No figures at all.",
    ],
)
def test_numbers_of_the_source_are_no_inventions(reply: str) -> None:
    """However they are written, rounded or not; list numbers, citations, dates and times are no numbers."""
    assert scored("grounded-numbers", reply, source=MEETING).passed, scored("grounded-numbers", reply, source=MEETING)


@pytest.mark.parametrize(
    ("reply", "invented"),
    [
        ("Revenue was 1,234,568 euros.", "1,234,568"),
        ("It rose by 13%.", "13"),
        ("It rose by 12.4%.", "12.4"),
        ("Invoice INV-2042 is due.", "INV-2042"),
        ("About 1.3 million euros.", "1.3 million"),
        ("There were thirteen boxes.", "thirteen"),
        ("Twenty-five boxes, one of three points.", "Twenty-five"),
        ("In 2027.", "2027"),
    ],
)
def test_numbers_that_the_source_lacks_are_told(reply: str, invented: str) -> None:
    """Each by its own digits."""
    found = scored("grounded-numbers", reply, source=MEETING)
    assert found.passed is False
    assert found.details["invented"] == [invented]


def test_thousands_of_the_source_may_stand_apart() -> None:
    """Spaces between thousands, as Swedish, French and SI write them; other digits are still made up."""
    source = "Pulverlack RAL 5018   25   4 312,50\nAtt betala SEK 1 234 567"
    assert scored("grounded-numbers", "4312.5 of 1,234,567 and 4 312,50", source=source).passed
    assert scored("grounded-numbers", "That makes 4512.50.", source=source).details["invented"] == ["4512.50"]


def test_rounding_is_refused_where_exact_numbers_are_asked() -> None:
    """`exact` takes nothing but the number itself."""
    assert scored("grounded-numbers", "up 12.3%", None, {"exact": True}, source=MEETING).passed is False
    assert scored("grounded-numbers", "up 12.34%", None, {"exact": True}, source=MEETING).passed


def test_what_is_allowed_is_no_invention() -> None:
    """And the share of what is grounded is the value."""
    assert scored("grounded-numbers", "24 hours, 7 days", None, {"allow": [24, "7"]}, source=MEETING).passed
    assert scored("grounded-numbers", "12% and 99 and 98", source=MEETING).value == pytest.approx(1 / 3)


def test_what_the_user_asked_is_no_invention() -> None:
    """The question is part of the source."""
    assert scored("grounded", "In 1999, Berlin", source="nothing", input_text="What was in Berlin in 1999?").passed


@settings(max_examples=80, deadline=None)
@given(st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False, allow_infinity=False))
def test_a_number_is_read_from_every_way_to_write_it(value: Decimal) -> None:
    """With English, German and Swiss groups of thousands, and none."""
    english = f"{value:,}"
    german = english.translate(str.maketrans(",.", ".,"))
    for written in (str(value), english, german, english.replace(",", "'"), english.replace(",", "\u202f")):
        (found,) = figures(f"it is {written} in all")
        assert value in found.readings


@pytest.mark.parametrize(
    "reply",
    [
        "Opened on 3 May 2024.",
        "Opened May 3, 2024.",
        "Opened 2024-05-03.",
        "Opened 03.05.2024.",
        "Opened 5/3/24.",
        "Opened am 3. Mai 2024.",
        "Ouvert le 3 mai 2024.",
        "Abierto el 3 de mayo de 2024.",
        "2024年5月3日",
        "In May 2024.",
        "Due on March 12.",
        "Due on 12 March 2025.",
        "45.45.2024 is no date.",
    ],
)
def test_dates_of_the_source_are_no_inventions(reply: str) -> None:
    """Written in any way, or told in part; a year that stands elsewhere in the source may be the year."""
    assert scored("grounded-dates", reply, source=MEETING).passed


@pytest.mark.parametrize(
    "reply", ["On 4 May 2024.", "On 3 May 2023.", "In June 2024.", "Due 12 March 1999.", "30/12/25"]
)
def test_dates_that_the_source_lacks_are_told(reply: str) -> None:
    """A day, a month or a year that is not there."""
    assert scored("grounded-dates", reply, source=MEETING).passed is False


@settings(max_examples=80, deadline=None)
@given(st.dates(min_value=dt.date(1900, 1, 1), max_value=dt.date(2199, 12, 31)))
def test_a_date_is_read_from_every_way_to_write_it(day: dt.date) -> None:
    """One of its readings is the date."""
    wanted = calendar_dates.Day(day.year, day.month, day.day)
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y"):
        found = list(calendar_dates.dates(f"It was on {day.strftime(form)}."))
        assert len(found) == 1, form
        assert wanted in found[0].readings, form


@pytest.mark.parametrize(
    "reply",
    [
        "Anna Schmidt of Nordwind spoke.",
        "Schmidt, O’Neill's guest, thanked the WHO.",
        "They opened in Sao Paulo.",
        "## Key Findings\n\n**Next Steps:** nothing.\nYesterday it rained. However, nobody minded.",
        "The Nordwind GmbH grew, said Ms. Schmidt.",
        "Decisions:\n- Anna Schmidt: sends the invoice\n- Peter O'Neill: pays it",
    ],
)
def test_names_of_the_source_are_no_inventions(reply: str) -> None:
    """In part, without accents, as initials; headings and words that begin a sentence are no names."""
    found = scored("grounded-names", reply, source=MEETING)
    assert found.passed, found.reason


@pytest.mark.parametrize(
    ("reply", "invented"),
    [
        ("Anna Weber spoke.", "Anna Weber"),
        ("The guest was Peter Schmidt-Rottluff.", "Peter Schmidt-Rottluff"),
        ("They spoke with Bosch about it.", "Bosch"),
        ("Attendees:\n- Anna Schmidt\n- Lisa Wong", "Lisa Wong"),
        ("It was J. R. Tolkien who came.", "J R Tolkien"),
        ("He met Peter Schmidt there.", "Peter Schmidt"),
    ],
)
def test_names_that_the_source_lacks_are_told(reply: str, invented: str) -> None:
    """A name put together from those of two people is one of them."""
    assert scored("grounded-names", reply, source=MEETING).details["invented"] == [invented]


def test_german_nouns_are_no_names() -> None:
    """Where all nouns have capitals, names of two words are told from them."""
    source = (
        "Die Nordwind GmbH hat einen Vertrag mit der Stadt, und der Umsatz ist im Jahr gestiegen, sagt Anna Schmidt."
    )
    good = "Der Umsatz der Firma ist gestiegen, und die Nordwind GmbH hat einen Vertrag für das Jahr."
    assert scored("grounded-names", good, source=source).passed
    bad = "Der Umsatz ist gestiegen, und die Deutsche Bahn hat einen Vertrag mit der Stadt."
    assert scored("grounded-names", bad, source=source).details["invented"] == ["Deutsche Bahn"]


def test_names_in_a_script_without_capitals_are_unscored() -> None:
    """Nobody can tell, and that is no pass."""
    assert scored("grounded-names", "参加者は田中です", source=MEETING).state == "unscored"


def test_names_that_nobody_could_look_at_are_told_beside_the_other_guards() -> None:
    """`grounded` decides by what it can tell, and says in reason and details what it did not look at."""
    told = "names cannot be told in a script without capital letters"
    for reply, passed in (("参加者は田中です、5人", True), ("参加者は田中です", True), ("参加者は6人です", False)):
        found = scored("grounded", reply, source="参加者は田中です、 5 人")
        assert found.passed is passed, reply
        assert found.reason.endswith(f"; {told}")
        assert found.details["not_looked_at"] == told
    assert scored("grounded", "参加者は田中です", None, {"only": ["names"]}, source=MEETING).state == "unscored"
    assert "not_looked_at" not in scored("grounded", "Anna", source="Anna").details


def test_time_stamps_outside_the_source_are_told() -> None:
    """The source covers 00:00:05 to 00:45:10."""
    assert scored("grounded-timestamps", "From 0:10 to 45:10.", source=MEETING).passed
    found = scored("grounded-timestamps", "[00:10] start\n[00:50:00] end", source=MEETING)
    assert found.details["invented"] == ["50:00"]
    assert found.value == 0.5
    assert scored("grounded-timestamps", "At 0:10.", source="no times").passed is False


def test_all_guards_together_tell_what_each_tells() -> None:
    """`only` chooses among them."""
    reply = "Anna Weber paid 99 euros on 4 May 2024, at 00:59:00."
    found = scored("grounded", reply, source=MEETING)
    assert found.details["invented"] == ["99", "Anna Weber", "4 May 2024", "59:00"]
    assert scored("grounded", reply, None, {"only": ["dates"]}, source=MEETING).details["invented"] == ["4 May 2024"]


def test_an_expected_answer_that_its_own_guard_refuses_is_a_defect() -> None:
    """The data is wrong before any model is asked."""
    assert "99" in scored("grounded-numbers", "", "It cost 99.", defects=True, source=MEETING)[0]
    assert scored("grounded-numbers", "", "It rose by 12%.", defects=True, source=MEETING) == []


def test_a_share_that_is_asked_overrides_all_or_nothing() -> None:
    """`at_least` as for every validator that measures."""
    guard = declared({"grounded-numbers": {"at_least": 0.5}}, lambda path, text: ConfigError(f"{path} {text}"))
    assert guard.score(Material(reply_text="12% and 99", source=MEETING)).passed
    assert not guard.score(Material(reply_text="12% and 99 and 98", source=MEETING)).passed


@pytest.mark.parametrize("argument", [{"only": ["places"]}, {"only": []}, {"alow": []}, "numbers"])
def test_an_unknown_guard_is_an_error_with_its_place(argument: object) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=r"validators\.0"):
        scored("grounded", "", None, argument)


@settings(max_examples=80, deadline=None)
@given(st.integers(min_value=0, max_value=359_999))
def test_a_time_stamp_is_read_as_it_is_written(total_s: int) -> None:
    """`1:02:03` is 3723 seconds, and back."""
    assert time_marks.seconds(time_marks.shown(total_s)) == total_s


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_a_text_is_grounded_in_itself(text: str) -> None:
    """Whatever it is: nothing in it is invented."""
    for guard in ("grounded-numbers", "grounded-dates", "grounded-timestamps", "grounded-names"):
        found = scored(guard, text, source=text)
        assert found.state == "unscored" or found.passed, (guard, found.reason)
