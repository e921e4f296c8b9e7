"""What a project's conftest.py registers is known to verbs that start no tests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from usecase_folders import folder, written

PICKY = """
import pytest_llmbench
print("loaded")

@pytest_llmbench.validator(name={name!r})
def own(reply_text, sample):
    return reply_text == sample.expected
"""


def llmbench(where, *words):
    """The command in a process of its own: what is registered stays registered."""
    return python(where, "-m", "pytest_llmbench", *words)


def python(where, *words):
    return subprocess.run([sys.executable, *words], check=False, cwd=where, capture_output=True, text=True, timeout=60)


@pytest.fixture
def project(tmp_path):
    """A project with two use cases, each named validators of its own and of the project."""
    folder(tmp_path / "a", "validators: [picky, strict]")
    folder(tmp_path / "b", "validators: [picky]")
    return written(
        tmp_path,
        {
            "pytest.ini": "[pytest]\n",
            "conftest.py": PICKY.format(name="picky"),
            "a/conftest.py": PICKY.format(name="strict"),
        },
    )


@pytest.mark.parametrize(
    "words", [("usecase", "check", "."), ("usecase", "show", "a"), ("prompt", "test", "a"), ("prompt", "history", "a")]
)
def test_validators_of_a_conftest_are_known_to_every_verb_that_reads_a_use_case(project, words):
    """As they are to pytest: from the root directory down to the use case's folder."""
    done = llmbench(project, *words)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_prompt_is_compared_with_validators_of_a_conftest(project):
    """The conftest is loaded once: a name that is registered twice would be refused."""
    folder(project / "a", "validators: [picky, strict]\nmodels: [demo/echo]")
    done = llmbench(project, "prompt", "test", "a", "--ask")
    assert "1 wrong" in done.stdout, done.stdout + done.stderr


def test_what_a_conftest_prints_does_not_spoil_json(project):
    """Programs read it."""
    found = json.loads(llmbench(project, "usecase", "check", ".", "--json").stdout)
    assert [each["validators"] for each in found] == [["picky", "strict"], ["picky"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import os\n1 / 0\n", "conftest.py:2: this file fails: ZeroDivisionError: division by zero"),
        ("import os\ndef (:\n", "conftest.py:2: this file fails: SyntaxError: "),
        ("from missing_module import x\n", "conftest.py:1: this file fails: ModuleNotFoundError: "),
        (PICKY.format(name="exact"), "conftest.py:5: this file fails: UsageError: a validator 'exact' cannot be"),
    ],
)
def test_a_conftest_that_fails_is_told_with_its_line(project, content, said):
    """No traceback, and the exit code of a mistake."""
    written(project, {"conftest.py": content})
    done = llmbench(project, "usecase", "check", "b")
    assert done.returncode == 4
    assert f"llmbench: error: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_pytest_refuses_is_told_in_its_words(project):
    """The verb would read the use case otherwise than pytest does."""
    written(project, {"pytest.ini": "[pytest]\naddopts = --nobody-knows\n"})
    done = llmbench(project, "usecase", "check", "b")
    assert done.returncode == 4
    assert "unrecognized arguments: --nobody-knows" in done.stderr


@pytest.mark.slow
def test_without_a_conftest_pytest_is_not_even_imported(tmp_path):
    """A check stays quick."""
    folder(tmp_path / "a")
    code = (
        "import sys; from pytest_llmbench.cli import main; status = main(['usecase', 'check', 'a'])\n"
        "assert 'pytest' not in sys.modules\nsys.exit(status)"
    )
    done = python(tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
