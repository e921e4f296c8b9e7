"""A run of use cases full of text that tries to break out of a page, a spreadsheet, a terminal or Markdown."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import hostile_text
import report_use_cases

from pytest_llmbench.records import Evaluation, Run, TestResult


def hostile_run(texts: Sequence[str] = hostile_text.ALL) -> Run:
    """A few samples of several use cases in which every text is one of `texts`, in turn."""
    text = itertools.cycle(texts)
    run = report_use_cases.several_run()
    results = [*run.results[:6], *run.results[-30:-24], *run.results[-4:]]
    asked = {id_ for result in results for id_ in result.reply_ids}
    base = dataclasses.replace(
        run, results=tuple(results), replies=tuple(reply for reply in run.replies if reply.id in asked)
    )
    poisoned = hostile_text.poisoned(base, text)
    return dataclasses.replace(
        poisoned,
        id=next(text),
        replies=tuple(dataclasses.replace(reply, role="subject") for reply in poisoned.replies),
        results=tuple(
            _sliced(before, after, {next(text): next(text)}, is_damaged=number % 4 == 3)
            for number, (before, after) in enumerate(zip(results, poisoned.results, strict=True))
        ),
    )


def _sliced(before: TestResult, after: TestResult, slices: dict[str, str], *, is_damaged: bool) -> TestResult:
    """With the outcome of a real run, which decides what is shown, and hostile slices; some with hostile damage."""
    found: Evaluation | None = after.evaluation
    assert found is not None
    damage = found.corruption if is_damaged else ""
    found = dataclasses.replace(found, slices=slices, page="a page", use_case="one of few", corruption=damage)
    return dataclasses.replace(after, evaluation=found, outcome=before.outcome)
