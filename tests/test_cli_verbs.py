"""The `llmbench` command itself: verbs, wrong words, exit codes, start-up cost, pipes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import pytest_llmbench
from pytest_llmbench.cli import main
from pytest_llmbench.cli.verbs import GROUPS, VERBS, with_truth_values
from pytest_llmbench.errors import ExitCode

HEAVY = ("pydantic", "httpx", "sqlalchemy", "alembic", "yaml", "numpy", "scipy", "rich", "jinja2", "pytest", "psutil")
LLMBENCH = (sys.executable, "-m", "pytest_llmbench")


@pytest.fixture(autouse=True)
def somewhere_empty(tmp_path, monkeypatch):
    """No project around."""
    monkeypatch.chdir(tmp_path)


def loaded_by(words: list[str]) -> set[str]:
    """The heavy modules that a fresh process has loaded after a call."""
    code = (
        "import contextlib, sys\nfrom pytest_llmbench.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words!r})\n"
        f"print(' '.join(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["models", "--help"], ["modles"]])
def test_help_loads_nothing_heavy(words):
    """`llmbench --help` answers at once."""
    assert loaded_by(words) & set(HEAVY) == set()


def test_a_verb_loads_only_what_it_needs():
    """Showing the configuration needs no HTTP, no database, no pytest."""
    assert loaded_by(["config", "show"]) == {"pydantic", "yaml"}


def test_the_version_is_the_packages(capsys):
    """One number, in one place."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == ExitCode.OK
    assert capsys.readouterr().out == f"llmbench {pytest_llmbench.__version__}\n"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_explains_itself(verb, capsys):
    """`--help` behind any verb tells its arguments."""
    with pytest.raises(SystemExit) as ended:
        main([*verb.words, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == ExitCode.OK
    assert all(name in shown for argument in verb.arguments for name in argument.names if name.startswith("-"))


def test_the_overview_names_every_verb(capsys):
    """Who types `llmbench --help` sees where to go on."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in {verb.words[0] for verb in VERBS} | set(GROUPS))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modles", "list"], "there is no `llmbench modles`; did you mean 'models'?"),
        (["models", "lst"], "there is no `llmbench models lst`; did you mean 'list'?"),
        (["xyzzy"], "questions, recommend, regate, rejudge, report, route, run, runs, tune, usecase"),
        (["models"], "required: VERB"),
        ([], "required: VERB"),
        (["report"], "required: RUN"),
        (["report", "last", "--format", "docx"], "invalid choice"),
        (["models", "list", "--offlin"], "`llmbench models list` does not take '--offlin'; did you mean '--offline'?"),
        (["config", "schema", "extra"], "`llmbench config schema` does not take 'extra'"),
        (["config", "show", "--rounds", "many"], "--rounds: 'many' must be a whole number, 1 or more"),
        (["run", "--rounds", "0"], "--rounds: '0' must be a whole number, 1 or more"),
        (["config", "show", "--rootdir", "/no/such/folder"], "/no/such/folder: no such directory"),
    ],
)
def test_wrong_words_end_with_one_message_and_exit_code_4(words, message, capsys):
    """A mistake of the caller is told in a line or two, without a traceback."""
    assert main(words) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.startswith("llmbench: error: ")
    assert shown.out == ""


def test_a_truth_option_needs_no_value():
    """`--offline` is enough; a value that follows is taken."""
    assert with_truth_values(["models", "pull", "--offline", "x"]) == ["models", "pull", "--offline=true", "x"]
    assert with_truth_values(["--offline", "no"]) == ["--offline", "no"]
    assert with_truth_values(["--llmbench-offline"]) == ["--llmbench-offline=true"]
    assert with_truth_values(["--offline=no", "-k", "--offline"]) == ["--offline=no", "-k", "--offline=true"]


def test_an_error_cannot_steer_the_terminal(capsys):
    """Names from the outside are shown, not obeyed."""
    assert main(["models", "show", "\x1b[2Jevil", "--rootdir", "."]) == ExitCode.USAGE
    assert "\x1b" not in capsys.readouterr().err


def test_a_reader_that_stops_early_is_no_error():
    """`llmbench config schema | head -1` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*LLMBENCH, "config", "schema"], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (ExitCode.OK, b"")


def test_a_terminal_without_unicode_gets_escapes():
    """An old locale ends no verb with a traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*LLMBENCH, "models", "list"], capture_output=True, env=environment, timeout=60, check=True)
    assert done.stdout.startswith(b"model ")


def test_both_commands_are_the_same():
    """`python -m pytest_llmbench` serves where the script is not on PATH."""
    done = subprocess.run([*LLMBENCH, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"llmbench {pytest_llmbench.__version__}\n"
