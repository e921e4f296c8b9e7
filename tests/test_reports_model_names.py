"""Names where there is little room: whatever is left out, a reader can tell one quantization from another."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from advice_runs import a_run, chat, exam, share_right
from test_matrix_progress import cell

from pytest_llmbench.records import Cell, Measurement, Range, Run
from pytest_llmbench.reports import matrix_plan, terminal
from pytest_llmbench.reports.cells import cell_width
from pytest_llmbench.reports.matrix_plan import Foreseen
from pytest_llmbench.reports.matrix_progress import MatrixStatus, line
from pytest_llmbench.reports.model_names import fitted, footnote, marked
from pytest_llmbench.reports.terminal_advice import advice_in_full, advice_lines
from pytest_llmbench.results.recommend import recommendations

LONG = "a-model-of-a-research-group-1.5b-instruct"
MODELS = (
    "smollm2-135m:Q4_0 (requantized from Q4_1)",
    "smollm2-135m:Q4_1",
    "smollm2-135m:Q8_0 (requantized from Q4_1)",
    "gemma3-270m:Q4_K_M",
    f"{LONG}:IQ4_XS",
    f"{LONG}:Q5_K_S (requantized from Q8_0)",
)
WIDTHS = [60, 80, 120]


def matrix(models: Sequence[str] = MODELS) -> Run:
    """A matrix of these, each measured with two profiles."""
    measured = [each for number, model in enumerate(models) for each in _of_model(model, 30 + 15 * number)]
    return a_run(*measured, cells=[_cell(each, place) for place, each in enumerate(measured)])


def _of_model(model: str, tps: float) -> tuple[Measurement, Measurement]:
    right = share_right(0.5, 20)
    random.Random(model).shuffle(right)
    return chat(model, tps), exam(model, right)


def _cell(measured: Measurement, place: int) -> Cell:
    return Cell(
        key=measured.key, place=place, model=measured.model, server="default", settings={}, profile=measured.profile,
        state="measured", measurement_id=measured.id,
    )  # fmt: skip


def quant(model: str) -> str:
    return model.partition(" (")[0].rpartition(":")[2]


def texts(lines: Sequence[terminal.Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize("width", WIDTHS)
def test_each_row_of_the_summary_shows_its_quantization_at_any_width(width: int) -> None:
    """A star stands for what a file was requantized from, and is explained once below the table."""
    lines = terminal.summary(matrix(), width=width)
    rows = [line[0][0].strip() for line in lines if line and line[0][1] == "bold"]
    assert len(rows) == len(MODELS)
    for model, row in zip(MODELS, rows, strict=True):
        assert row.endswith(f":{quant(model)}{'*' if '(' in model else ''}"), row
        assert "requantized" not in row
    told = texts(lines)
    assert all(cell_width(each) <= width for each in told)
    assert sum("* requantized from Q4_1 or Q8_0" in each for each in told) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_each_use_names_its_configuration_with_its_quantization(width: int) -> None:
    """In the summary the name stands beside the use, in `recommend` in the sentence."""
    advice = recommendations(matrix())
    for pick in advice.picks:
        if pick.configuration:
            lines = texts(list(advice_lines(advice, width)))
            assert any(pick.title in each and f":{quant(pick.configuration)}" in each for each in lines)
    full = texts(list(advice_in_full(advice, width)))
    assert all(cell_width(each) <= width for each in full)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_line_shows_configuration_and_profile(width: int) -> None:
    """What matters least is left out first: the bar, the time; and the name is made shorter before that."""
    for model in MODELS:
        running = cell("long_context", model, "running", size=200)
        shown = line(MatrixStatus([running], {"decode_tps": 44.0}, {"rss_bytes": 3e8}, 12.0), width)
        assert len(shown) <= width
        assert f":{quant(model)}" in shown
        assert "long_context" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_plan_shows_configuration_and_profile(width: int) -> None:
    """`--dry-run`: the numbers stand on a line of their own where they find no room."""
    expected = {"memory_bytes": Range(2e8, 3e8, 4e8), "duration_s": Range(10, 20, 30)}
    plan = [Foreseen(cell("long_context", model), expected) for model in MODELS]
    lines = texts(matrix_plan.lines(plan, width=width))
    for model in MODELS:
        assert any(f":{quant(model)}" in each and "long_context" in each for each in lines), lines


def test_a_name_gives_up_its_origin_first_and_its_quantization_last() -> None:
    """Then the middle of its family; only where nothing of that is left is all of it cut alike."""
    name = f"{LONG}:Q5_K_S (requantized from Q8_0)"
    assert fitted(name, 80) == name
    assert fitted(name, 60) == f"{LONG}:Q5_K_S*"
    assert fitted(name, 30).startswith("a-model")
    assert fitted(name, 30).endswith("…b-instruct:Q5_K_S*")
    assert cell_width(fitted(name, 30)) == 30
    assert cell_width(fitted(name, 9)) <= 9


def test_settings_of_a_server_stay_behind_the_quantization() -> None:
    """They tell configurations of one model apart."""
    name = "smollm2-135m:Q4_0 (requantized from Q4_1)-long"
    assert marked(name) == "smollm2-135m:Q4_0*-long"
    assert fitted(name, 22).endswith(":Q4_0*-long")


def test_the_footnote_is_there_only_where_a_star_is() -> None:
    """With all that the star stands for."""
    assert footnote(["a:Q4_0", "lab/b"]) == ""
    assert footnote(MODELS[:4]) == "* requantized from Q4_1"


def test_what_holds_for_several_is_said_once() -> None:
    """The same warning about three files, and the same doubt about several uses, are a line each."""
    told = " ".join(" ".join(texts(list(advice_lines(recommendations(matrix()), 80)))).split())
    assert told.count("made from Q4_1") == 1
    assert told.count("made from Q8_0") == 1
    assert "smollm2-135m:Q4_0*, smollm2-135m:Q8_0*: made from Q4_1 and not from the original" in told
    assert told.count("only 20 questions were asked") == 1
    assert "(requantized" not in told
