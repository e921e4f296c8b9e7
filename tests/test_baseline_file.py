"""The file of a baseline: small, the same for the same run, and refused where somebody changed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from baseline_runs import measurement, noisy, priced, run, samples

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Run
from pytest_llmbench.results.baseline import of_run
from pytest_llmbench.results.baseline_file import read, write


def a_run() -> Run:
    asked = samples(20, wrong={3, 4})
    return run(*asked, replies=priced(asked, lambda n: f"0.000{n:02}"), measurements=[measurement(noisy(0.2))])


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """Samples, values by rounds, machine; the id is of the content and stays the same."""
    path, baseline = tmp_path / "main" / "a.json", of_run(a_run())
    write(path, baseline)
    again = read(path)
    assert again.id == baseline.id
    assert again.as_dict() == baseline.as_dict()
    case, measured = again.use_cases[0], again.measurements[0]
    rows = case.rows()
    assert (rows["s003"].passed, rows["s005"].passed, rows["s005"].cost_usd) == (False, True, "0.00005")
    assert [len(values) for values in measured.metrics["ttft_s"]] == [5] * 8
    assert measured.subject["engine_build"] == "b1"


def test_the_same_run_makes_the_same_file(tmp_path: Path) -> None:
    """So that blessing twice is no change for git; a line a sample; no prompt and no reply in it."""
    for name in ("a.json", "b.json"):
        write(tmp_path / name, of_run(a_run()))
    text = (tmp_path / "a.json").read_text()
    assert text == (tmp_path / "b.json").read_text()
    assert sum('"s0' in line for line in text.splitlines()) == 20
    assert "said" not in text


@pytest.mark.parametrize(("old", "new"), [('"wrong", false', '"right", true'), ("shout", "whisper"), ("main", "mine")])
def test_a_file_that_was_changed_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """With what to do, whatever was changed; line ends of another system are no change."""
    path = tmp_path / "a.json"
    write(path, of_run(a_run()))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path).run == "run-1"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match="was changed since it was blessed") as error:
        read(path)
    assert "llmbench baseline bless" in error.value.hint


def test_a_newer_format_is_refused_with_what_reads_it(tmp_path: Path) -> None:
    """It is not guessed at."""
    path = tmp_path / "a.json"
    write(path, of_run(a_run()))
    path.write_text(path.read_text().replace('"version": 1', '"version": 2', 1))
    with pytest.raises(ConfigError, match="is of version 2 of the format, and this llmbench reads 1") as error:
        read(path)
    assert "use the version of pytest-llmbench that wrote it" in error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "llmbench-baseline", "version": 1}',
        '{"format": "llmbench-baseline", "version": 1, "run": 1, "machine": {"name": "a"}}',
        "\x00\xff",
    ],
)
def test_what_is_no_baseline_is_told_so(tmp_path: Path, text: str) -> None:
    """A damaged file is an error with its name, never a traceback."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json is no baseline"):
        read(path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("use_cases", 0, "samples", "s001"), ["x"]),
        (("use_cases", 0, "samples", "s001", 4), "NaN"),
        (("use_cases", 0, "samples", "s001", 2), "yes"),
        (("measurements", 0, "metrics", "ttft_s"), [["0.2"]]),
        (("measurements", 0, "scalars"), {"load_s": None}),
        (("use_cases",), {"a": 1}),
        (("machine",), "a machine"),
    ],
)
def test_another_kind_of_value_is_no_baseline(tmp_path: Path, where: tuple[str | int, ...], value: object) -> None:
    """Even where somebody made the hash fit."""
    path = tmp_path / "a.json"
    write(path, of_run(a_run()))
    data = json.loads(path.read_text())
    at = data
    for step in where[:-1]:
        at = at[step]
    at[where[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match="is no baseline"):
        read(path)
