"""Code that a model wrote, run: against tests, or for what it prints. Only where the person who runs it allowed that.

No sandbox: a subprocess with limits, in a temporary folder, without our environment. See
docs/how-to/choose-validators.md.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.program import Ended, run_python
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of, ran, unscored, verdict
from pytest_llmbench.validators.verdict import shortened

NOT_ALLOWED = (
    "model-written code is run only where that is allowed, which is no sandbox: `llmbench run ... --allow-execute`, "
    "`pytest ... --llmbench-allow-execute=true`"
)
_MAX_S = 600
_TESTED = """\
import runpy, sys
token = sys.stdin.read()
try:
    names = runpy.run_path("solution.py", run_name="solution")
    with open("tests.py", encoding="utf-8") as file:
        exec(compile(file.read(), "tests.py", "exec"), names)
except SystemExit as error:
    sys.exit(f"it left by sys.exit({error.code!r})")
print(token)
"""
"""Runs the tests in the solution's own namespace, and prints the token only where they came to their end."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Runs Python code out of a reply."""

    tests: str = ""
    """Python that fails where the solution is wrong."""
    tests_column: str = ""
    """The sample's column with such tests."""
    stdin_column: str = ""
    """The sample's column with what the code reads."""
    limit_s: float = 10.0
    memory_bytes: int = 512 << 20

    def score(self, material: Material) -> Score:
        """By the tests where there are any; else what it prints is to be the expected answer."""
        if not material.may_execute:
            return unscored(NOT_ALLOWED)
        code = code_of(material.answer)
        if not code.strip():
            return ran(verdict(passed=False, reason="the reply is empty"))
        if tests := self._tests(material):
            return self._tested(code, tests)
        if self.tests_column:
            return unscored(f"the sample has no tests in its column {self.tests_column!r}")
        if material.expected is None:
            return unscored(NOTHING_EXPECTED)
        return self._printed(code, material)

    def defects(self, material: Material) -> list[str]:
        """No tests, or an expected solution that fails them (seen only where code may be run)."""
        tests = self._tests(material)
        if self.tests_column and not tests:
            return [f"the sample has no tests in its column {self.tests_column!r}"]
        if not tests:
            return [NOTHING_EXPECTED] if material.expected is None else []
        if material.expected is None or not material.may_execute:
            return []
        found = self._tested(code_of(material.wanted), tests)
        return [] if found.passed else [f"the expected solution fails its tests: {found.reason}"]

    def _tests(self, material: Material) -> str:
        return self.tests or as_text(material.metadata.get(self.tests_column))

    def _tested(self, code: str, tests: str) -> Score:
        token = secrets.token_hex(16)
        ended = self._run({"solution.py": code, "tests.py": tests, "main.py": _TESTED}, "main.py", token)
        passed = ended.status == 0 and ended.output.rstrip().endswith(token)
        return ran(verdict(passed, "the tests pass" if passed else _why(ended, "the tests did not end")))

    def _printed(self, code: str, material: Material) -> Score:
        stdin = as_text(material.metadata.get(self.stdin_column)) if self.stdin_column else ""
        ended = self._run({"solution.py": code}, "solution.py", stdin)
        if ended.status != 0:
            return ran(verdict(passed=False, reason=_why(ended, "")))
        passed = _lines(ended.output) == _lines(material.wanted)
        told = "it prints what is expected" if passed else f"it prints {shortened(ended.output)!r}"
        return ran(verdict(passed, told))

    def _run(self, files: dict[str, str], main: str, stdin: str) -> Ended:
        return run_python(files, main, stdin=stdin, limit_s=self.limit_s, memory_bytes=self.memory_bytes)


def _why(ended: Ended, otherwise: str) -> str:
    """The last line that tells: Python's own of an exception."""
    if ended.status is None:
        return "the code did not end in its time"
    lines = [line for line in ended.errors.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else otherwise
    return f"the code failed with status {ended.status}: {last}" if ended.status else last


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _execute(argument: Any, where: Where) -> Scorer:
    keys = keys_of(argument, where, _KEYS)
    limit_s, memory_mb = keys.get("limit_s", 10), keys.get("memory_mb", 512)
    if not 0 < limit_s <= _MAX_S:
        raise where.at("limit_s").error(f"must be a number of seconds above 0, {_MAX_S} at most")
    if not 32 <= memory_mb <= 64_000:
        raise where.at("memory_mb").error("must be from 32 to 64000")
    tests = keys.get("tests", "")
    in_file = tests.endswith(".py")
    return Execute(
        tests=where.at("tests").text_of(tests) if in_file else "",
        tests_column="" if in_file else tests,
        stdin_column=keys.get("stdin", ""),
        limit_s=limit_s,
        memory_bytes=memory_mb << 20,
    )


_KEYS = {"tests": str, "stdin": str, "limit_s": float, "memory_mb": int}

TABLE = (
    Validator(
        "execute",
        "Python that the model wrote passes its tests, or prints the expected answer; only with `--allow-execute`",
        _execute,
        {"tests": "tests.py", "limit_s": 10},
    ),
)
