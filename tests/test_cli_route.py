"""`llmbench route`: whom a route would ask, from what is declared and stored; nothing is asked, and no key needed."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import FailedAttempt, LaneState, Reply, Timing
from pytest_llmbench.store import Store, lane_states

CONFIG = """
prices:
  "lab/dear": {input: 10, output: 20}
  "lab/cheap": {input: 1, output: 2}
providers:
  lab: {url: "http://127.0.0.1:1", key_env: NOBODYS_KEY}
routes:
  careful:
    models: [lab/dear, lab/cheap]
    choose: cheapest
    rules:
      - {when: {use_case: "legal-*"}, models: [lab/dear]}
    unsure: {to: [lab/strong], when: [border, hard]}
  quick: {models: [lab/dear, lab/cheap], choose: fastest}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with routes, and we stand in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOBODYS_KEY", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "llmbench.yaml").write_text(CONFIG)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    """What `--json` prints."""
    assert main(["route", *words, "--json"]) == ExitCode.OK
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def models(found: dict[str, object]) -> list[str]:
    return [each["model"] for each in found["order"]]  # type: ignore[attr-defined,index]


def test_the_table_says_who_comes_first_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """By price, without a key; who is asked in doubt stands below."""
    assert main(["route", "careful", "--prompt", "Is this polite?"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("route/careful: choose: cheapest; 8 tokens, difficulty 0.0")
    rows = [line.split() for line in lines[2:5]]
    assert [row[:2] for row in rows] == [["1.", "lab/cheap"], ["2.", "lab/dear"], ["3.", "lab/strong"]]
    assert lines[-1] == "  in doubt (border, hard): lab/strong"


def test_a_rule_and_a_hard_question_change_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    """And say so."""
    [by_rule] = told(capsys, "route/careful", "--use-case", "legal-nda")
    assert (models(by_rule), by_rule["rule"]) == (["lab/dear", "lab/strong"], "use_case: legal-*")
    hard = "\n".join(f"{n}. What is x = {n} + {n * n}^2? ```f({n})```" for n in range(60))
    [at_once] = told(capsys, "careful", "--prompt", hard)
    assert models(at_once)[0] == "lab/strong"


def test_stored_replies_tell_who_is_fastest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As measured in earlier runs; without any the order is that of the list."""
    assert models(told(capsys, "quick", "--prompt", "a question")[0]) == ["lab/dear", "lab/cheap"]
    with contextlib.closing(Store.open(folder / ".llmbench" / "results.db")) as store:
        store.ensure_run(samples.run("run-a", "2025-01-01T00:00:00+00:00"))
        for number in range(6):
            name, e2e_s = ("lab/dear", 4.0) if number % 2 else ("lab/cheap", 0.5)
            reply = Reply("fine", name, timing=Timing(e2e_s=e2e_s), request_hash=str(number))
            store.save_reply("run-a", "test", number, {}, reply)
    [quick] = told(capsys, "quick", "--prompt", "a question")
    assert models(quick) == ["lab/cheap", "lab/dear"]
    assert [each["latency_s"] for each in quick["order"]] == [0.5, 4.0]  # type: ignore[attr-defined,index]


def test_a_wrong_name_is_told_with_those_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """And all routes are shown where none is named; where there is none, that."""
    assert main(["route", "carefull"]) == ExitCode.USAGE
    assert "no route is named 'route/carefull'; did you mean 'route/careful'?" in capsys.readouterr().err
    assert [each["route"] for each in told(capsys)] == ["route/careful", "route/quick"]
    Path("llmbench.yaml").write_text("")
    assert main(["route"]) == ExitCode.OK
    assert "names no route" in capsys.readouterr().out


def stored(folder: Path, *, age: timedelta = timedelta(minutes=5)) -> None:
    """A run that asked `lab/dear`, whose breaker opened, and an older one in which it was well."""
    now = datetime.now(UTC)
    ill = LaneState(
        model="lab/dear",
        breaker="open",
        opened=1,
        limit=4,
        held_until=(now + timedelta(minutes=30)).isoformat(),
        at=(now - age).isoformat(),
    )
    well = LaneState(model="lab/dear", limit=9, at=(now - timedelta(days=3)).isoformat())
    with contextlib.closing(Store.open(folder / ".llmbench" / "results.db")) as store:
        for run_id, lane in (("run-a", well), ("run-b", ill)):
            store.ensure_run(samples.run(run_id, "2025-01-01T00:00:00+00:00"))
            store.submit(lane_states.put_all, (run_id, (lane,))).result()
            reply = Reply("fine", "lab/dear", timing=Timing(e2e_s=2.0), request_hash="h")
            store.save_reply(run_id, "test", 0, {}, reply)
        for category in ("server", "server", "rate_limited"):
            failed = FailedAttempt("lab/dear", "h", 1, category, "it fell over", "", lane.at)
            store.save_failed_attempt("run-b", "test", failed)


def test_how_each_model_fared_last_is_told_with_its_age(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the newest run that asked it; nothing of a model that nobody asked."""
    stored(folder)
    assert main(["route", "careful"]) == ExitCode.OK
    said = capsys.readouterr().out
    line = "lab/dear, 5 min ago: breaker open; begins nothing for 30 min; 1 reply; 3 failed (server 2, rate_limited 1)"
    assert line.replace("1 reply;", "1 reply, 2 s each;") + " (run run-b)" in said
    assert "lab/cheap, " not in said
    [found] = told(capsys, "careful")
    [fared] = found["last_asked"]  # type: ignore[misc]
    assert fared["failed"] == {"server": 2, "rate_limited": 1}
    assert (fared["run"], fared["breaker"], fared["answered"], fared["latency_s"]) == ("run-b", "open", 1, 2.0)


def test_what_is_not_known_of_models_is_not_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where nothing was ever stored, nor where only others were asked; a hold that is over is no hold."""
    assert told(capsys, "careful")[0]["last_asked"] == []
    stored(folder, age=timedelta(hours=5))
    assert told(capsys, "quick")[0]["last_asked"]
    assert main(["route", "quick"]) == ExitCode.OK
    assert "lab/dear, 5 h ago" in capsys.readouterr().out


def test_a_model_without_a_line_is_told_of_the_run_that_asked_it_last(folder: Path) -> None:
    """As those of this machine are: a newer run that asked others has nothing of it."""
    with contextlib.closing(Store.open(folder / "results.db")) as store:
        for day, run_id in enumerate(("run-a", "run-b", "run-c", "run-d"), 1):
            store.ensure_run(samples.run(run_id, f"2025-01-0{day}T00:00:00+00:00"))
        for run_id, model in (("run-a", "here:Q4"), ("run-b", "here:Q4 (requantized)"), ("run-d", "here:Q4_1")):
            store.save_reply(run_id, "test", 0, {}, Reply("fine", model, request_hash="h"))
        answered = store.model_health("here:Q4")
        failed = FailedAttempt("here:Q4", "h", 1, "server", "it fell over", "", "9999-01-01T00:00:00+00:00")
        store.save_failed_attempt("run-c", "test", failed)
        fell_over, nobody = store.model_health("here:Q4"), store.model_health("here")
    assert answered is not None
    assert (answered.run_id, answered.answered) == ("run-b", 1)
    assert fell_over is not None
    assert (fell_over.run_id, fell_over.answered, dict(fell_over.failed)) == ("run-c", 0, {"server": 1})
    assert nobody is None
