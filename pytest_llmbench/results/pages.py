"""The pages of use cases that a run's results are of, as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench import usecases
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.results.case_gates import Rule
from pytest_llmbench.usecases import UseCase


@dataclass(frozen=True, slots=True)
class Pages:
    """Each by its path from pytest's root, as results name it."""

    cases: Mapping[str, UseCase]
    unreadable: Mapping[str, str]
    """Of those that are gone, or are none any more: why."""

    @property
    def rules(self) -> list[Rule]:
        """The gates that they declare."""
        return [Rule(case.name, gate, page) for page, case in self.cases.items() for gate in case.gates]


def pages_of(run: Run, rootdir: Path) -> Pages:
    """The pages of a run's use cases.

    Args:
        run: with its results.
        rootdir: what paths in results are relative to.
    """
    named = {result.evaluation.page for result in run.results if result.evaluation}
    cases: dict[str, UseCase] = {}
    unreadable: dict[str, str] = {}
    for page in sorted(each for each in named if Path(each).name == usecases.PAGE):
        try:
            cases[page] = usecases.load(rootdir / page)
        except UsageError as error:
            unreadable[page] = error.message
    return Pages(cases, unreadable)
