"""The way of one question through a route: who is asked now, who after a failure or a doubt. Asks nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pytest_llmbench.errors import InfraError, OverBudgetError, UsageError
from pytest_llmbench.records import Outcome
from pytest_llmbench.routing.failing import HELPS, TARGETS, is_blamed, may_be_blamed
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.route import Route, Try
from pytest_llmbench.routing.router import Known, Ranking, ranked

Settle = Callable[[int, Sequence[str]], str]
"""(how many were asked before, who may be asked now, best first) → who is asked."""


class Facts(Protocol):
    """What is known of models."""

    def of(self, models: Sequence[str]) -> dict[str, Known]:
        """Each with what is known of it now."""

    def failed(self, model: str, error: InfraError) -> None:
        """One failed, after all attempts that help."""

    def answered(self, model: str) -> None:
        """One answered."""


def best(_asked: int, models: Sequence[str]) -> str:
    """The best one, whoever else may be asking."""
    return models[0]


class Path:
    """From the first model that is asked to the one whose answer counts.

    Args:
        route: it.
        figures: of the question.
        facts: of its members.
        settle: has the last word on who is asked, where several processes have to say the same.

    Raises:
        UsageError: none of its models can take the question.
    """

    def __init__(self, route: Route, figures: Figures, facts: Facts, *, settle: Settle = best) -> None:
        self.route = route
        self.tries: list[Try] = []
        """Who was asked before, in order."""
        self._figures = figures
        self._facts = facts
        self._settle = settle
        self._blamed = 0
        self._is_unsure = False
        ranking = self._ranking()
        if not ranking.candidates:
            raise _nobody(route, ranking)
        self.names = tuple(each.model for each in ranking.candidates)
        """Who may be asked, as far as nothing has happened yet, best first."""
        self.model = self._chosen(ranking)
        """Who is asked now."""
        self.is_last = len(ranking.candidates) == 1
        """Whether nobody is left to be asked in its place."""
        self.first = self.model
        """Who was asked first."""
        self.passed_over = ranking.passed_over if self.first == self.names[0] else {}
        """Who would have been asked before the first one, but for trouble of theirs → which, in a word."""

    def failed(self, error: InfraError | OverBudgetError) -> bool:
        """The model failed, or there is no money for it; whether `model` is another one now, that is to be asked."""
        if isinstance(error, OverBudgetError):  # the model is not to blame, and a spent budget is spent for all
            self.tries.append(Try(self.model, Outcome.OVER_BUDGET.value))
            return False
        self._facts.failed(self.model, error)
        self.tries.append(Try(self.model, str(error.category)))
        self._blamed += may_be_blamed(error)
        if error.category not in HELPS or is_blamed(error) or self._blamed >= TARGETS:
            return False
        return self._goes_on(self._ranking())

    def unsure(self, doubt: str) -> bool:
        """The model's answer leaves a doubt; whether `model` is a stronger one now, that is to be asked."""
        self._facts.answered(self.model)
        unsure = self.route.unsure
        if unsure is None or doubt not in unsure.when or self._is_unsure or self.model in unsure.to:
            return False
        ranking = self._ranking(unsure=True)
        if not ranking.candidates:
            return False
        self._is_unsure = True
        self.tries.append(Try(self.model, doubt, unsure=True))
        return self._goes_on(ranking)

    def gives_up(self, doubt: str) -> None:
        """The model's answer is of no use, and nobody else is asked: an earlier one counts."""
        self.tries.append(Try(self.model, doubt, unsure=True))

    def stands(self) -> None:
        """The model's answer counts."""
        self._facts.answered(self.model)

    def told(self) -> str:
        """Who was asked, and why none of their answers counts."""
        return ", ".join(f"{each.model}: {'unsure, ' if each.unsure else ''}{each.why}" for each in self.tries)

    def _goes_on(self, ranking: Ranking) -> bool:
        if not ranking.candidates:
            return False
        self.model, self.is_last = self._chosen(ranking), len(ranking.candidates) == 1
        return True

    def _ranking(self, *, unsure: bool = False) -> Ranking:
        tried = {each.model for each in self.tries}
        known = self._facts.of(self.route.members)
        return ranked(self.route, self._figures, known, unsure=unsure or self._is_unsure, tried=tried)

    def _chosen(self, ranking: Ranking) -> str:
        names = [each.model for each in ranking.candidates]
        found = self._settle(len(self.tries), names)
        return found if found in self.route.members else names[0]


def _nobody(route: Route, ranking: Ranking) -> UsageError:
    told = "; ".join(f"{model} {why}" for model, why in ranking.refused.items())
    return UsageError(
        f"{route.name} has no model that can take the question: {told}",
        hint=f"add one to `routes: {{{route.name.partition('/')[2]}: ...}}` of llmbench.yaml",
    )
