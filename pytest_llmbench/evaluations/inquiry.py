"""One judge asked about one matter: once more where its verdict cannot be used, another model where it is a route."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.errors import InfraError, LlmbenchError, OverBudgetError
from pytest_llmbench.evaluations.jury import Asked, Jury
from pytest_llmbench.evaluations.routed import path_of
from pytest_llmbench.judges import asking, border, verdict
from pytest_llmbench.records import JudgeCalibration, Reply, Score
from pytest_llmbench.routing.asking import tell_beside
from pytest_llmbench.routing.doubts import DISAGREEMENT, LOW_CONFIDENCE, is_unconfident
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Try


class Inquiry:
    """What is asked next, by what was answered; asks nothing itself.

    Args:
        jury: who judges, and by what.
        put: what is put to one of them, a model or a route.
        ordinal: how many times the same was put to the same route before.

    Raises:
        UsageError: no model of the route can take it.
    """

    def __init__(self, jury: Jury, put: Asked, ordinal: int) -> None:
        self.score: Score | None = None
        """What it says in the end."""
        self.path: Path | None = None
        """Who of a route was asked; None of a model by its own name."""
        self._jury = jury
        self._put = put
        self._is_retry = False
        self._kept: Score | None = None
        """A verdict that left a doubt: it counts where no other comes."""
        if is_route(put.model):
            self._put = replace(put, seat=put.model, ordinal=ordinal)
            self.path = path_of(jury, self._put)
        self.asked: Asked | None = self._anew()
        """What is to be asked now; None: nothing more."""

    def take(self, outcome: Reply | LlmbenchError) -> None:
        """What came of what was asked.

        Raises:
            LlmbenchError: nobody can be asked in place of one that failed.
        """
        if isinstance(outcome, Reply):
            self._answered(outcome)
        else:
            self._failed(outcome)

    def dissents(self) -> None:
        """Others of its panel say otherwise: where that is a doubt, a stronger model is to be asked."""
        if self.path is not None and self.path.unsure(DISAGREEMENT):
            self._kept, self.score = self.score, None
            self.asked = self._anew()

    def _anew(self) -> Asked:
        """What is put to the model whose turn it is, without what another one had answered."""
        self._is_retry = False
        if self.path is None:
            return self._put
        return replace(self._put, model=self.path.model, hasty=not self.path.is_last)

    def _failed(self, error: LlmbenchError) -> None:
        path = self.path
        if path is None or not isinstance(error, InfraError | OverBudgetError):
            raise error
        if path.failed(error):
            self.asked = self._anew()
        elif self._kept is not None:
            self._settle(self._kept)
        else:
            tell_beside(error, path)
            raise error

    def _answered(self, reply: Reply) -> None:
        assert self.asked is not None, "nothing was asked"
        found = scored(self._jury, self.asked, reply)
        what = verdict.complaint_of(found)
        if self._is_retry:
            found = replace(found, details={**found.details, "retried": True})
        elif what is not None:
            self._is_retry = True
            again = asking.retry_messages(list(self._put.messages), reply.text, what)
            self.asked = replace(self.asked, messages=again, alike="")
            return
        if self._goes_further(found, reply):
            self._kept = found
            self.asked = self._anew()
        elif self.path is not None and self._kept is not None and _says_more(self._kept, found):
            self.path.gives_up("unusable")
            self._settle(self._kept)
        else:
            if self.path is not None:
                self.path.stands()
            self._settle(found)

    def _goes_further(self, found: Score, reply: Reply) -> bool:
        """Whether its verdict leaves a doubt that a stronger model is asked for."""
        path = self.path
        if path is None or path.route.unsure is None:
            return False
        if found.state != "scored":
            return path.unsure("unusable")
        doubts = []
        if border.is_on_border(self._jury.rubric, found):
            doubts.append("border")
        if is_unconfident(reply, path.route.unsure):
            doubts.append(LOW_CONFIDENCE)
        return any(map(path.unsure, doubts))

    def _settle(self, found: Score) -> None:
        self.asked = None
        if self.path is None:
            self.score = found
            return
        told = {"name": self.path.route.name, "models": list(self.path.route.members)}
        tried = [each.as_dict() for each in self.path.tries]
        route = {**told, "first": self.path.first, "tried": tried}
        if self.path.passed_over:
            route["passed_over"] = [Try(*each).as_dict() for each in self.path.passed_over.items()]
        self.score = replace(found, name=self.path.route.name, details={**found.details, "route": route})


def scored(jury: Jury, asked: Asked, reply: Reply) -> Score:
    """What one judge says."""
    found = verdict.score_of(jury.rubric, reply.text, judge=asked.model, matter=asked.matter)
    known, why = jury.standings[asked.model], jury.shortfall(asked.seat or asked.model)
    told: dict[str, Any] = {"reply_id": reply.id}
    if why:
        told["not_calibrated"] = why
    if known.calibration is not None:
        told["calibration"] = _shown_of(known.calibration)
    advisory = not jury.judging.binding and bool(why)
    return replace(found, advisory=advisory, details={**found.details, **told})


def _says_more(first: Score, second: Score) -> bool:
    """Whether the first verdict can be used, and the second cannot."""
    return first.state == "scored" and second.state != "scored"


def _shown_of(known: JudgeCalibration) -> dict[str, Any]:
    """What reports need of a calibration as it was when it was relied upon."""
    return {
        "n": known.n,
        "kappa": known.kappa,
        "agreement": known.agreement,
        "sensitivity": known.sensitivity,
        "specificity": known.specificity,
        "run": known.run,
    }
