"""`llmbench judge`: what is kept of calibrations, and which folders and files are held against people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from calibration_suites import calibration

from pytest_llmbench.cli import judges, main
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.evaluations import calibrations
from pytest_llmbench.evaluations.calibrations import read_all, write
from pytest_llmbench.records import JudgeCalibration

if TYPE_CHECKING:
    from pytest_llmbench.config import Resolved
    from pytest_llmbench.records import Run

GOOD = JudgeCalibration(
    rubric="answers",
    rubric_hash="ab" * 32,
    judge="demo/judge",
    n=60,
    run="20260101-000000-abcdef",
    at="2026-01-01T10:20:30+00:00",
    agreement=(0.9, 0.8, 0.95),
    kappa=(0.8, 0.6, 0.9),
    sensitivity=(28, 30),
    specificity=(26, 30),
)
BAD = replace(GOOD, judge="demo/judge-lenient", kappa=(0.03, -0.03, 0.12))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that keeps two calibrations; its folder of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    folder = tmp_path / "llmbench-judges"
    for each in (GOOD, BAD):
        write(folder, each)
    return folder


def test_list_says_who_counts_and_why_not(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a judge, with what is missing; as JSON the whole record."""
    assert main(["judge", "list"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["demo/judge-lenient", "demo/judge"]
    assert lines[1].endswith("advises: kappa 0.03 (−0.03 to 0.12): the floor is 0.4")
    assert lines[2].endswith("counts")
    assert main(["judge", "list", "--json"]) == ExitCode.OK
    told = {each["judge"]: each for each in json.loads(capsys.readouterr().out)}
    assert told["demo/judge"]["advises_because"] == ""
    assert told["demo/judge"]["kappa"] == [0.8, 0.6, 0.9]


def test_the_projects_floor_holds(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What llmbench.yaml wants decides, when it is looked at and not when it was kept."""
    Path("llmbench.yaml").write_text("judges: {kappa: 0.7}\n")
    assert main(["judge", "show", "demo/judge"]) == ExitCode.OK
    assert "advises: kappa 0.80 (0.60 to 0.90): the floor is 0.7" in capsys.readouterr().out


def test_where_none_is_kept_the_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The project may be another one; with `--rootdir` it is found."""
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner" / "llmbench-judges", GOOD)
    monkeypatch.chdir(tmp_path)
    assert main(["judge", "list"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "no calibration of a judge is kept in llmbench-judges;" in told
    assert "--rootdir" in told
    assert main(["judge", "show", "demo/judge"]) == ExitCode.USAGE
    assert "no calibration of 'demo/judge' is kept in llmbench-judges\n" in capsys.readouterr().err
    assert main(["judge", "show", "demo/judge", "--rootdir", "inner"]) == ExitCode.OK


def test_show_offers_a_near_name(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A judge that nobody calibrated is no empty answer."""
    assert main(["judge", "show", "demo/juge"]) == ExitCode.USAGE
    assert "did you mean 'demo/judge'" in capsys.readouterr().err


def test_of_two_files_of_one_run_the_one_with_more_labels_is_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever came last: a handful of labels beside it does not undo a calibration."""
    both = [replace(GOOD, n=70), replace(GOOD, n=4, kappa=None), BAD]
    monkeypatch.setattr(calibrations, "records_of", lambda _run, _at: both)
    resolved = SimpleNamespace(calibrations_dir=kept)
    assert len(calibrations.keep(cast("Resolved", resolved), cast("Run", None))) == 2
    assert {each.judge: each.n for each in read_all(kept)} == {"demo/judge": 70, "demo/judge-lenient": 60}


def test_a_new_calibration_takes_the_place_of_the_old(kept: Path) -> None:
    """One file a judge and version of the rubric; another version is another file."""
    write(kept, replace(GOOD, n=70))
    write(kept, replace(GOOD, rubric_hash="cd" * 32))
    assert sorted((each.judge, each.rubric_hash[:2], each.n) for each in read_all(kept)) == [
        ("demo/judge", "ab", 70),
        ("demo/judge", "cd", 60),
        ("demo/judge-lenient", "ab", 60),
    ]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format": "another"}', '{"format": "llmbench judge calibration", "version": 2}', "\xff"],
)
def test_a_file_that_is_none_is_named(kept: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    """Whatever stands in it: an error with its name, and what to do."""
    (kept / "odd.json").write_bytes(content.encode("latin-1"))
    assert main(["judge", "list"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "odd.json" in told
    assert "hint: `llmbench judge calibrate` writes it anew" in told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kappa", [0.8, "0.6", 0.9]),
        ("kappa", [0.8]),
        ("sensitivity", [31, 30]),
        ("n", "60"),
        ("judge", 1),
        ("agreement", 5),
    ],
)
def test_a_record_with_another_kind_of_value_is_refused(
    kept: Path, capsys: pytest.CaptureFixture[str], field: str, value: object
) -> None:
    """A file that somebody wrote by hand cannot make a judge count by accident."""
    (kept / "odd.json").write_text(json.dumps({**GOOD.as_dict(), field: value}))
    assert main(["judge", "list"]) == ExitCode.USAGE
    assert "odd.json is no calibration of a judge" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-k", "q01"], ["-kq01"], ["--lf"], ["--deselect=x::y"]])
def test_a_calibration_by_some_of_the_labels_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Its record would be told as that of the whole file; other options leave none out."""
    file = str(calibration(tmp_path))
    given: list[str] = []
    monkeypatch.setattr(judges.run, "run", lambda told: given.extend(told) or 0)
    judges.calibrate([file, *words])
    assert given == [file, *words]
    assert "leaves labels out: nothing is kept" in capsys.readouterr().out
    given.clear()
    judges.calibrate([file, "--max-cost", "1", "-n", "2", "--maxfail=1"])
    assert given[0] == "--llmbench-keep-calibrations=true"


def test_calibrate_takes_the_calibrations_of_a_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders become the files in them, hidden ones left out; values of options stay as they are."""
    file = calibration(tmp_path / "suite")
    calibration(tmp_path / "suite" / ".hidden")
    given: list[str] = []
    monkeypatch.setattr(judges.run, "run", lambda words: given.extend(words) or 0)
    monkeypatch.chdir(tmp_path)
    assert judges.calibrate(["suite", "--results-dir", "suite", "-n", "2", "-q"]) == 0
    kept_flag = "--llmbench-keep-calibrations=true"
    assert given == [kept_flag, str(file.relative_to(tmp_path)), "--results-dir", "suite", "-n", "2", "-q"]
    with pytest.raises(UsageError, match="wants to know"):
        judges.calibrate(["-q"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is no"):
        judges.calibrate(["empty"])
