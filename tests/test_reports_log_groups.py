"""What a log says of many questions at once is shown once, and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from logged_calls import failed, written

from pytest_llmbench.cli import main
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.reports.log_groups import grouped


def _given_up(model: str = "lab/m", after_s: float = 9.0) -> Note:
    return Note(Kind.GIVEN_UP, f"not tried again: it has not answered for {after_s} s", model)


def test_a_model_that_is_given_up_is_told_of_once_for_all_questions_that_waited_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long each had waited, and with calls in between; another model has its own line, and all are counted."""
    waited = [_given_up(after_s=9.0 + number) for number in range(6)]
    told = (*waited[:3], failed(), *waited[3:], _given_up("lab/n"), _given_up("lab/n"))
    lines = written(tmp_path, *told)
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["log", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("lab/m: given up") == 2
    assert printed.count("the same of 5 more questions") == 1
    assert printed.count("lab/n: given up") == 2
    assert "8 notes" in printed


def test_other_notes_are_shown_each(tmp_path: Path) -> None:
    """Two cuts of a rate are two events, though they say the same."""
    cut = Note(Kind.RATE_CUT, "fewer at once", "lab/m")
    lines = written(tmp_path, cut, cut, _given_up(), cut)
    assert list(grouped(lines)) == lines


def test_two_models_that_are_given_up_together_are_told_of_once_each(tmp_path: Path) -> None:
    """Their notes come by turns; a note of another kind ends what was counted."""
    by_turns = [_given_up(model, 9.0 + number) for number in range(4) for model in ("lab/m", "lab/n")]
    lines = list(grouped(written(tmp_path, *by_turns, Note(Kind.RATE_CUT, "fewer at once", "lab/m"), _given_up())))
    assert [(line["model"], line["kind"], line.get("alike")) for line in lines[1:]] == [
        ("lab/m", "given_up", None),
        ("lab/n", "given_up", None),
        ("lab/m", "given_up", 3),
        ("lab/n", "given_up", 3),
        ("lab/m", "rate_cut", None),
        ("lab/m", "given_up", None),
    ]


def test_a_count_in_somebody_elses_log_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name is ours, and of lines that are in no log."""
    _, note = written(tmp_path, Note(Kind.RATE_CUT, "fewer at once", "lab/m"))
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({**note, "alike": alike}) + "\n" for alike in ("x", 7, [])))
    assert main(["log", str(path)]) == 0
    assert "3 notes" in capsys.readouterr().out
