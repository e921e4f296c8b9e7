"""`llmbench prompt`: what is asked, what changed, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.prompts.history import History, Result
from pytest_llmbench.usecases import load

PAGE = """---
name: triage
prompt:
  template: "Which queue? {{input}}"
  variants:
    terse: {system: "", models: ["demo/*"]}
validators: [exact]
---
# Triage
"""
ROWS = [{"id": f"t{n}", "input": f"My lamp {n}", "expected": "refund"} for n in range(3)]


@pytest.fixture
def case(tmp_path, monkeypatch) -> Path:
    """A use case in an empty project, and we stand in that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    folder = tmp_path / "triage"
    (folder / "data").mkdir(parents=True)
    (folder / "USE-CASE.md").write_text(PAGE)
    (folder / "data" / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


def edit(case: Path, old: str, new: str) -> None:
    """Change the page."""
    page = case / "USE-CASE.md"
    page.write_text(page.read_text().replace(old, new))


def test_test_shows_what_a_sample_is_asked(case, capsys):
    """And that every sample fills the prompt; no model is needed."""
    assert main(["prompt", "test", "triage", "--id", "t1", "--variant", "terse"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "triage: each of 3 samples has a value for every variable" in out
    assert out.splitlines()[-2:] == ["--- user", "Which queue? My lamp 1"]
    assert "fair: terse" in out


def test_test_shows_it_as_a_model_is_asked(case, capsys):
    """In optimized mode by the model's own variant; as JSON for programs."""
    edit(case, "prompt:\n", "prompt:\n  mode: optimized\n")
    assert main(["prompt", "test", "triage", "--model", "demo/one", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["mode"], told["variant"], told["sample"]) == ("optimized", "terse", "t0")
    assert told["messages"] == [{"role": "user", "content": "Which queue? My lamp 0"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--variant", "ters"], "did you mean 'terse'?"),
        (["--id", "t9"], "no sample with the id 't9'"),
    ],
)
def test_test_tells_what_is_not_there(case, capsys, words, said):
    """With what is meant, as far as that can be guessed."""
    assert main(["prompt", "test", "triage", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_test_tells_a_variable_without_a_value_with_file_and_line(case, capsys):
    """Before any model is asked."""
    edit(case, "{{input}}", "{{inptu}}")
    assert main(["prompt", "test", "triage"]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "USE-CASE.md:4: prompt.template: the sample 't0' has no value for {{inptu}}; did you mean 'input'?" in err


def test_history_shows_versions_newest_first_with_their_results(case, capsys):
    """And whether the prompt as it is now was asked yet."""
    past, first = History(Path(".llmbench"), "triage"), load(case).prompt
    past.record(first)
    past.record_results([_result(first, "base", 0.5), _result(first, "terse", 0.75)])
    edit(case, "Which queue?", "Choose the queue:")
    past.record(load(case).prompt)
    edit(case, "Choose the queue:", "Now:")
    assert main(["prompt", "history", "triage"]) == ExitCode.OK
    head, second, base, terse, now = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["version", "since", "(UTC)"]
    assert first.version not in second
    assert base.split()[0] == terse.split()[0] == first.version
    assert base.endswith("0.500")
    assert terse.endswith("0.750")
    assert "was not asked yet" in now


def test_history_of_a_prompt_never_asked_says_so(case, capsys):
    """No empty table."""
    assert main(["prompt", "history", "triage"]) == ExitCode.OK
    [line] = capsys.readouterr().out.splitlines()
    assert "was not asked yet" in line
    assert not Path(".llmbench").exists()


def test_history_is_there_for_programs_too(case, capsys):
    """All that is kept, as JSON."""
    prompt = load(case).prompt
    History(Path(".llmbench"), "triage").record(prompt)
    assert main(["prompt", "history", "triage", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["now"] == told["versions"][0]["version"] == prompt.version
    assert told["results"] == []


def test_diff_shows_what_changed_since_the_version_before(case, capsys):
    """Or between any two, named by their beginnings."""
    past, first = History(Path(".llmbench"), "triage"), load(case).prompt
    past.record(first)
    edit(case, "Which queue?", "Choose the queue:")
    second = load(case).prompt
    past.record(second)
    assert main(["prompt", "diff", "triage"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith(f"--- {first.version}\n+++ {second.version} (now)\n")
    assert "-Which queue? {{input}}\n+Choose the queue: {{input}}\n" in out
    assert main(["prompt", "diff", "triage", second.version[:6], first.version[:6]]) == ExitCode.OK
    assert "-Choose the queue: {{input}}\n+Which queue? {{input}}\n" in capsys.readouterr().out


def test_diff_without_another_version_says_when_there_will_be_one(case, capsys):
    """A version is kept when it is asked."""
    assert main(["prompt", "diff", "triage"]) == ExitCode.USAGE
    assert "a version is kept when it is first asked" in capsys.readouterr().err


def test_diff_tells_where_content_was_not_kept(case, capsys):
    """Under keep_prompts=false only the name is."""
    past = History(Path(".llmbench"), "triage")
    past.record(load(case).prompt, keep_content=False)
    edit(case, "Which queue?", "Choose the queue:")
    assert main(["prompt", "diff", "triage"]) == ExitCode.USAGE
    assert "only its name was kept" in capsys.readouterr().err


def test_a_hostile_template_cannot_steer_the_terminal(case, capsys):
    """What a stranger's file says is shown, not obeyed."""
    (case / "ask.txt").write_text("\x1b[2J{{input}}\u202e")
    edit(case, 'template: "Which queue? {{input}}"', "file: ask.txt")
    assert main(["prompt", "test", "triage"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out


def _result(prompt, variant: str, mean: float) -> Result:
    """How a model did in a run."""
    version = prompt.named(variant).version
    return Result("r1", "demo/one", "fair", variant, version, prompt.version, n=20, mean=mean)
