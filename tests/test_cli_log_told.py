"""`llmbench log` in its own words: sums, what is refused, what was not logged, and sheets that take every cell."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from logged_calls import ASKED, REPLY, failed, written
from seen_calls import a_call

from pytest_llmbench.cli import main
from pytest_llmbench.errors import Category, ExitCode
from pytest_llmbench.observe.calls import CallEnded, Kind, Note
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.reports.log_words import LogWords, Tally
from pytest_llmbench.reports.safe_cells import LONGEST_CELL, fitting_cell


def log_of(folder: Path, *told: Any, content: bool = False) -> str:
    """The file of a log of these."""
    written(folder, *told, content=content)
    [path] = files_in(folder)["main"]
    return str(path)


def answered(**call: Any) -> CallEnded:
    return CallEnded.answered(a_call(messages=ASKED, **call), REPLY, 0.5)


def summed(*lines: dict[str, Any]) -> str:
    tally = Tally()
    for line in lines:
        tally.add(line)
    return tally.words()


def test_a_sum_says_of_whom_each_number_is() -> None:
    """Kinds of failures beside failures, notes apart from calls, nothing twice."""
    call, note = {"event": "call"}, {"event": "note", "kind": "rate_cut"}
    bad = [{**call, "outcome": "failed", "category": each} for each in ("server", "server", "timeout.idle")]
    gone = {**call, "outcome": "cancelled", "category": "cancelled"}
    good = {**call, "outcome": "answered", "duration_s": 12.0}
    assert summed(gone, gone) == "2 calls: 2 cancelled"
    assert summed(*bad, note, note) == "3 calls: 3 failed (2 server, 1 timeout.idle); 2 notes"
    assert summed(*bad, good, gone) == "5 calls: 3 failed (2 server, 1 timeout.idle), 1 answered, 1 cancelled, 1 slow"
    assert summed(note) == "0 calls; 1 note"


def test_what_was_chosen_is_told_with_how_many_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that nothing matches is no run that asked nothing."""
    path = log_of(tmp_path, answered(), answered(model="lab/n"), failed(), Note(Kind.RATE_CUT, "fewer", "lab/m"))
    for words, said in {
        ("--model", "DEMO/facts"): "0 of 3 calls",
        ("--test", "nothere"): "0 of 3 calls",
        ("--category", "rate_limited"): "0 of 3 calls",
        ("--model", "lab/n"): "1 of 3 calls: 1 answered",
        ("--failed",): "1 of 3 calls: 1 failed (1 server); 1 note",
        (): "3 calls: 2 answered, 1 failed (1 server); 1 note",
    }.items():
        assert main(["log", path, *words]) == ExitCode.OK
        assert capsys.readouterr().out.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("category", "said"),
    [
        ("nonsense", "there are no failures of the kind 'nonsense'\n"),
        ("timout", "'timout'; did you mean 'timeout'?"),
        ("timeout.idel", "'timeout.idel'; did you mean 'timeout.idle'?"),
    ],
)
def test_a_kind_of_failure_that_does_not_exist_is_refused(
    category: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log_of(tmp_path, failed())
    assert main(["log", path, "--category", category]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    for known in ("timeout", *Category):
        assert main(["log", path, "--category", str(known)]) == ExitCode.OK


def test_contents_that_were_not_logged_are_not_silently_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told beside what is shown; not where a filter leaves nothing, or where nobody asks for them."""
    without, whole = log_of(tmp_path / "a", answered()), log_of(tmp_path / "b", answered(), content=True)
    assert main(["log", without, "--content"]) == ExitCode.OK
    assert "none were logged; request_log=content does" in capsys.readouterr().err
    for words in ((without,), (whole, "--content"), (whole, "--content", "--test", "nothere")):
        assert main(["log", *words]) == ExitCode.OK
        assert capsys.readouterr().err == ""


def test_what_is_no_log_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file or folder that is there is not looked for among runs, and questions are no broken lines."""
    monkeypatch.chdir(tmp_path)
    Path("pytest.ini").write_text("[pytest]\n")
    Path("test_it.py").write_text("")
    Path("questions.jsonl").write_text('{"id": 1, "input": "what?"}\n')
    for name in ("test_it.py", str(tmp_path / "test_it.py"), ".", "questions.jsonl"):
        assert main(["log", name]) == ExitCode.USAGE
        told = capsys.readouterr()
        assert f"{name} is no request log" in told.err
        assert told.out == ""
    assert main(["log", "nothing"]) == ExitCode.USAGE
    assert "is no request log" not in capsys.readouterr().err


def test_a_judges_line_says_who_is_judged() -> None:
    """Its own column names the judge; the other's stands in the parameters of the test."""
    line = {"event": "call", "test": "a/USE-CASE.md::polite[lab/m-m1]", "use_case": "polite", "sample": "m1"}
    [asked] = LogWords().of({**line, "model": "lab/m", "role": "subject"})
    [judged] = LogWords().of({**line, "model": "lab/judge", "role": "judge"})
    assert "lab/m  polite/m1" in "".join(text for text, _ in asked)
    assert "lab/judge  judge: polite[lab/m-m1]" in "".join(text for text, _ in judged)


def test_every_cell_of_a_sheet_is_one_that_sheets_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Truth as JSON writes it, and no text longer than a cell of Excel holds."""
    long = ({"role": "user", "content": "=\U0001f600" * 20_000},)
    path = log_of(tmp_path, CallEnded.answered(a_call(messages=long, stream=True), REPLY, 0.5), content=True)
    assert main(["log", path, "--csv", "--content"]) == ExitCode.OK
    csv.field_size_limit(10**6)
    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["stream"], row["tokens_estimated"]) == ("true", "false")
    assert len(row["messages"]) <= LONGEST_CELL
    assert row["messages"].endswith(" more characters]")
    assert main(["log", path, "--json", "--content"]) == ExitCode.OK
    assert "more characters]" not in capsys.readouterr().out, "JSON is whole"


@pytest.mark.parametrize("text", ["a", "\U0001f600", "a\U0001f600", "\ud800"])
def test_a_cell_is_cut_by_what_excel_counts(text: str) -> None:
    """UTF-16 units, of which some characters take two; none is cut in halves."""
    fits = text * (LONGEST_CELL // (2 * len(text)))
    assert fitting_cell(fits) == fits
    cut = fitting_cell(text * 50_000)
    assert len(cut.encode("utf-16-le", "surrogatepass")) <= 2 * LONGEST_CELL
    kept, _, left = cut.partition("… [")
    assert len(kept) + int(left.split()[0].replace(",", "")) == 50_000 * len(text)
    assert (text * 50_000).startswith(kept)
