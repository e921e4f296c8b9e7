"""Question sets: items with their expected answers, the shipped set, users' files, readers of public benchmarks."""

from pytest_llmbench.questions.items import DIFFICULTIES, Item, QuestionSet
from pytest_llmbench.questions.linting import Problem, lint
from pytest_llmbench.questions.sources import load

__all__ = ["DIFFICULTIES", "Item", "Problem", "QuestionSet", "lint", "load"]
