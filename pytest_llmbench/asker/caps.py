"""The most that may be spent, and on which questions: what a budget keeps, and what has to have a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase

from pytest_llmbench.asker.question import Question
from pytest_llmbench.config import Resolved


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent, in US dollars."""

    run: Decimal | None = None
    models: Mapping[str, Decimal] = field(default_factory=dict)
    """By pattern of model names (`openai/*`); all that fit a pattern share its cap."""
    use_cases: Mapping[str, Decimal] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.run is not None or bool(self.models or self.use_cases)

    @property
    def named(self) -> dict[str, Decimal]:
        """Each by what it is for, in words: `run`, `model openai/*`, `use case triage`."""
        found = {"run": self.run} if self.run is not None else {}
        found |= {f"model {glob}": cap for glob, cap in self.models.items()}
        return found | {f"use case {name}": cap for name, cap in self.use_cases.items()}

    def hold(self, question: Question) -> bool:
        """Whether one of them is for this question."""
        is_named = any(fnmatchcase(question.target.name, glob) for glob in self.models)
        return self.run is not None or is_named or question.use_case in self.use_cases


def caps_of(resolved: Resolved) -> Caps:
    """The most that the run may spend, by llmbench.yaml and the command line."""
    declared = resolved.config.budget
    most = resolved.settings.max_cost or declared.run
    return Caps(
        Decimal(most) if most else None,
        {glob: Decimal(usd) for glob, usd in declared.models.items()},
        {name: Decimal(usd) for name, usd in declared.use_cases.items()},
    )
