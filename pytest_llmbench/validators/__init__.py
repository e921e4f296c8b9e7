"""Programmatic scorers of a reply: deterministic, strict, and quick on any text.

A reply is correct where its whole answer is the expected one. Where an answer stands in a reply: `final_answer.py`.
"""

from pytest_llmbench.validators.checks import CHECKS, Check, check, defect, is_scored, plain_reply
from pytest_llmbench.validators.choices import LETTERS
from pytest_llmbench.validators.verdict import Expected, Verdict

__all__ = ["CHECKS", "LETTERS", "Check", "Expected", "Verdict", "check", "defect", "is_scored", "plain_reply"]
