"""`llmbench usecase`: begin a use case, check it, look at it."""

from __future__ import annotations

import json

from usecase_folders import ROW, folder, written

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode


def test_a_new_use_case_is_sound_as_it_is(tmp_path, capsys, monkeypatch):
    """What `new` writes passes `check`; a second `new` leaves it alone."""
    monkeypatch.chdir(tmp_path)
    assert main(["usecase", "new", "cases/triage"]) == ExitCode.OK
    assert main(["usecase", "check", "cases"]) == ExitCode.OK
    assert "triage (cases/triage): 6 samples, validators: one-of, 0 problems" in capsys.readouterr().out
    before = (tmp_path / "cases/triage/USE-CASE.md").read_text()
    assert main(["usecase", "new", "cases/triage"]) == ExitCode.USAGE
    assert "exists and is left as it is" in capsys.readouterr().err
    assert (tmp_path / "cases/triage/USE-CASE.md").read_text() == before


def test_problems_and_mistakes_are_told_of_all_use_cases(tmp_path, capsys):
    """One that cannot be read does not hide the problems of the others; mistakes end with 4, problems with 1."""
    where = folder(tmp_path / "wrong", "validators: [{one-of: [sales, other]}]")
    assert main(["usecase", "check", str(where)]) == ExitCode.TESTS_FAILED
    assert "1 problem\n" in capsys.readouterr().out
    folder(tmp_path / "broken", "promt: x")
    assert main(["usecase", "check", str(tmp_path)]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert "data/a.jsonl:1: t1: one-of: " in told.out
    assert "broken/USE-CASE.md:2: promt: unknown key" in told.err


def test_two_use_cases_of_one_name_are_a_problem(tmp_path, capsys):
    """Reports could not tell them apart."""
    folder(tmp_path / "a", "name: triage")
    folder(tmp_path / "b", "name: triage")
    assert main(["usecase", "check", str(tmp_path)]) == ExitCode.TESTS_FAILED
    assert "b: " in (told := capsys.readouterr().out)
    assert "has the name 'triage', too" in told


def test_stories_beside_use_cases_are_linted_too(tmp_path, capsys):
    """One check for all that a folder holds."""
    folder(tmp_path / "case", "")
    written(tmp_path, {"hello.story.txt": "Story: Hello\nUser: Hi\nAssistant: /Hello|Hi/\n"})
    assert main(["usecase", "check", str(tmp_path)]) == ExitCode.TESTS_FAILED
    assert "hello.story.txt" in capsys.readouterr().out


def test_a_check_as_json_is_for_programs(tmp_path, capsys):
    """Names, counts, problems."""
    assert main(["usecase", "check", str(folder(tmp_path / "t", "")), "--json"]) == ExitCode.OK
    [found] = json.loads(capsys.readouterr().out)
    assert (found["name"], found["samples"], found["validators"], found["problems"]) == ("t", 1, ["exact"], [])


def test_a_folder_without_use_cases_is_a_mistake(tmp_path, capsys):
    """A typing error does not pass for a clean check."""
    assert main(["usecase", "check", str(tmp_path)]) == ExitCode.USAGE
    assert "there is no USE-CASE.md" in capsys.readouterr().err


def test_a_use_case_is_shown_with_its_samples(tmp_path, capsys):
    """Facts, then the first twenty samples; --all lists the others; --json holds all of them."""
    rows = "".join(json.dumps({"id": f"s{n:02}", "input": "x", "expected": "y"}) + "\n" for n in range(25))
    where = folder(tmp_path / "t", "tags: [short]", {"data/a.jsonl": rows})
    assert main(["usecase", "show", str(where)]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "s19" in shown
    assert "s20" not in shown
    assert "the first 20; --all lists all" in shown
    main(["usecase", "show", str(where), "--all"])
    assert "s24" in capsys.readouterr().out
    main(["usecase", "show", str(where), "--json"])
    assert len(json.loads(capsys.readouterr().out)["samples"]) == 25


def test_a_sample_is_shown_as_it_is_asked(tmp_path, capsys):
    """The messages, and what is expected; an unknown id offers a near one. Control characters do nothing."""
    where = folder(tmp_path, "prompt: 'Which queue? {{input}}'", {"data/a.jsonl": ROW.replace("twice", "\\u001b[31m")})
    assert main(["usecase", "show", str(where), "--id", "t1"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "── user\nWhich queue? My card was charged" in shown
    assert "── expected\nbilling" in shown
    assert "\x1b" not in shown
    assert main(["usecase", "show", str(where), "--id", "t11"]) == ExitCode.USAGE
    assert "did you mean 't1'?" in capsys.readouterr().err


def test_the_schema_is_printed_as_json(capsys):
    """For editors."""
    assert main(["usecase", "schema"]) == ExitCode.OK
    assert "prompt" in json.loads(capsys.readouterr().out)["properties"]


def test_a_corruption_that_no_sample_takes_is_told_by_the_check(tmp_path, capsys):
    """As pytest would tell it, and before: with what is missing."""
    where = folder(tmp_path / "broken", "corruption: [casing, malformed-json]")
    assert main(["usecase", "check", str(where)]) == ExitCode.TESTS_FAILED
    told = capsys.readouterr().out
    assert "the corruption 'malformed-json' can be done to none of the 1 samples" in told
    assert "the input has to be or hold a JSON object" in told
    assert "'casing'" not in told
