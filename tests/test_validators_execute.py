"""Code that a model wrote: run only where that is allowed, within limits, without our environment."""

from __future__ import annotations

import os
import time

import psutil
import pytest
from scorers import defects, located, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.contradictions import contradictions
from pytest_llmbench.validators.declared import declared_all
from pytest_llmbench.validators.material import Material

BY_TESTS = {"execute": {"tests": "tests", "limit_s": 2}}
TESTS = {"tests": "assert double(21) == 42"}
RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"


def run(code: str, spec: object = BY_TESTS, **more: object) -> object:
    """The score of a reply with this code, where code may be run."""
    return scored(spec, code, metadata=TESTS, may_execute=True, **more)


def test_nothing_is_run_unless_that_is_allowed(tmp_path):
    """Then nobody can tell, and why is said."""
    mark = tmp_path / "mark"
    found = scored(BY_TESTS, f"open({str(mark)!r}, 'w')", metadata=TESTS)
    assert found.state == "unscored"
    assert "--allow-execute" in found.reason
    assert not mark.exists()
    assert defects(BY_TESTS, f"open({str(mark)!r}, 'w')", metadata=TESTS) == []
    assert not mark.exists()


def test_code_that_passes_its_tests_is_right():
    """Tests of a column."""
    found = run(RIGHT)
    assert (found.passed, found.executed) == (True, True)


def test_tests_may_stand_in_a_file(tmp_path):
    """The same for all samples."""
    (tmp_path / "checks.py").write_text("assert double(1) == 2\n")
    spec = {"execute": {"tests": "checks.py"}}
    assert scored(spec, RIGHT, may_execute=True, folder=tmp_path).passed
    assert not scored(spec, "def double(n): return n", may_execute=True, folder=tmp_path).passed


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def double(n):\n    return n", "AssertionError"),
        ("def double(n:", "SyntaxError"),
        ("import sys; sys.exit(0)", "sys.exit(0)"),
        ("import os; os._exit(0)", "the tests did not end"),
        ("raise SystemExit", "sys.exit(None)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
        ("x = ' ' * 10**10", "MemoryError"),
        ("open('big', 'wb').write(b'x' * 10**8)", "File too large"),
        ("print('x' * 10**8)", "File too large"),
        ("\ud800", "SyntaxError"),
        ("", "the reply is empty"),
    ],
)
def test_code_that_fails_is_wrong(code, said):
    """Leaving early is not passing; memory and files have limits."""
    found = run(code)
    assert (found.state, found.passed) == ("scored", False)
    assert said in found.reason


@pytest.mark.parametrize(
    "code", ["while True: pass", "import time; time.sleep(60)", "import os; os.read(os.pipe()[0], 1)"]
)
def test_code_that_does_not_end_is_ended(code):
    """At its limit, busy or asleep."""
    found = run(code, {"execute": {"tests": "tests", "limit_s": 0.3}})
    assert found.reason == "the code did not end in its time"


def test_nothing_that_it_started_is_left():
    """A child of it in the background."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    code = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    code += "def double(n): return 2 * n\n"
    assert run(code).passed
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive_beside(before):
        time.sleep(0.02)
    assert not _alive_beside(before)


def _alive_beside(before: set[int]) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if _sleeps(process) and process.pid not in before]


def _sleeps(process: psutil.Process) -> bool:
    return "import time; time.sleep(60)" in (process.info["cmdline"] or ()) and process.status() != "zombie"


def test_keys_are_not_in_its_environment(monkeypatch):
    """Nor anything else of ours; its folder is a fresh one."""
    monkeypatch.setenv("LLMBENCH_TEST_KEY", "sk-secret")
    code = "import os\nprint(sorted(os.environ), os.listdir('.'))"
    found = scored({"execute": None}, code, "", may_execute=True)
    assert found.passed is False
    assert "LLMBENCH_TEST_KEY" not in found.reason
    assert "['solution.py']" in found.reason
    assert os.environ["LLMBENCH_TEST_KEY"]


def test_what_it_prints_can_be_what_is_expected():
    """Space at the ends of lines does not count."""
    spec = {"execute": {"stdin": "given"}}
    metadata = {"given": "21\n"}
    assert scored(spec, "print(int(input()) * 2, '')", "42\n", metadata=metadata, may_execute=True).passed
    assert not scored(spec, "print(41)", 42, metadata=metadata, may_execute=True).passed
    assert scored(spec, "print(42)", None, may_execute=True).state == "unscored"


def test_the_lint_runs_the_expected_solution_over_its_tests():
    """Where code may be run."""
    assert defects(BY_TESTS, RIGHT, metadata=TESTS, may_execute=True) == []
    (found,) = defects(BY_TESTS, "def double(n): return n", metadata=TESTS, may_execute=True)
    assert found.startswith("the expected solution fails its tests: the code failed with status 1: AssertionError")
    assert defects(BY_TESTS, RIGHT) == ["the sample has no tests in its column 'tests'"]
    assert scored(BY_TESTS, RIGHT, may_execute=True).state == "unscored"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"tests": "nowhere.py"}, "there is no file 'nowhere.py'"),
        ({"limit_s": 0}, "validators[0].execute.limit_s"),
        ({"memory_mb": 1}, "validators[0].execute.memory_mb"),
        ({"test": "a"}, "unknown key; did you mean 'tests'?"),
    ],
)
def test_wrong_limits_are_refused_with_their_place(tmp_path, argument, said):
    """Before any call."""
    with pytest.raises(ConfigError) as refused:
        made({"execute": argument}, tmp_path)
    assert said in str(refused.value)


def test_validators_that_no_reply_can_pass_together_are_found():
    """One demands the expected answer, another refuses it."""
    validators = declared_all(
        ["exact", {"regex": "^[A-Z]+$"}, {"contains": "a"}, {"latency": {"at_most_s": 1}}], located
    )
    (found,) = contradictions(validators, Material(expected="abc"))
    assert found[0] == "regex"
    assert "which another one demands" in found[1]
    assert list(contradictions(validators[1:], Material(expected="abc"))) == []
    assert list(contradictions(validators, Material())) == []
