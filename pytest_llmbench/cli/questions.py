"""`llmbench questions`: what a set of questions holds, and whether it is scored as it should be."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pytest_llmbench import questions, validators
from pytest_llmbench.cli import screen
from pytest_llmbench.errors import ExitCode

_HEADS = ("id", "category", "difficulty", "check", "answer", "prompt")


def show(arguments: argparse.Namespace) -> int:
    """Print the questions."""
    found = questions.load(arguments.source)
    if arguments.json:
        screen.show_json({"name": found.name, "sha256": found.sha256, "items": [asdict(item) for item in found.items]})
        return ExitCode.OK
    rows = [(i.id, i.category, i.difficulty, i.check, i.answer, i.prompt) for i in found.items]
    screen.show_table(_HEADS, rows, cut=("check", "answer", "prompt"))
    return ExitCode.OK


def lint_set(arguments: argparse.Namespace) -> int:
    """Print what is wrong with the questions."""
    found = questions.load(arguments.source)
    problems = questions.lint(found)
    unscored = sum(not validators.is_scored(item.check) for item in found.items)
    if arguments.json:
        told = {"name": found.name, "sha256": found.sha256, "questions": len(found.items), "unscored": unscored}
        screen.show_json({**told, "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            screen.show_line(f"{problem.item}: {problem.text}")
        left_out = f", {unscored} that cannot be scored" if unscored else ""
        screen.show_line(f"{found.name}: {len(found.items)} questions{left_out}, {len(problems)} problems")
    return ExitCode.TESTS_FAILED if problems else ExitCode.OK
