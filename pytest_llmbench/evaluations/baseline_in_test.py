"""The baseline as a test in Python holds it: the fixture `baseline`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from pytest_llmbench.config import gate
from pytest_llmbench.errors import InconclusiveWarning, UsageError, did_you_mean
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.marked import MARK, CaseInTest, asking_of
from pytest_llmbench.evaluations.telling import content_of
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import GateResult, Measurement, Outcome, Reply, Sample, Score
from pytest_llmbench.results import regressions
from pytest_llmbench.results.baseline import CaseBaseline, SampleRow, of_measurement
from pytest_llmbench.results.baseline_choice import Chosen, chosen
from pytest_llmbench.results.comparability import matched
from pytest_llmbench.results.costs import amount_of
from pytest_llmbench.results.deciding import FAIL, INCONCLUSIVE, decided
from pytest_llmbench.results.finding import Finding
from pytest_llmbench.results.machine_class import machine_class
from pytest_llmbench.results.regressions import Regression, Terms
from pytest_llmbench.results.use_cases import named
from pytest_llmbench.session import Session

IN_TEST = "assert"
"""The kind of evidence of what was decided in a test."""
_EXAMPLE = 'baseline.regressions(today, ttft_s="10%", decode_tps="5%")'
FIXTURE = "baseline"
_CHOSEN: pytest.StashKey[Chosen] = pytest.StashKey()
_TESTS: pytest.StashKey[int] = pytest.StashKey()


class Regressions(list[GateResult]):
    """What is worse than in the baseline, beyond margin and chance; empty, and so false, where nothing is."""

    def __init__(self, results: Iterable[GateResult]) -> None:
        self.all = tuple(results)
        """Every metric that was asked for, with its verdict."""
        super().__init__(each for each in self.all if each.verdict == FAIL)

    @property
    def inconclusive(self) -> list[GateResult]:
        """What could not be decided."""
        return [each for each in self.all if each.verdict == INCONCLUSIVE]

    def __repr__(self) -> str:
        """A line a metric: pytest prints it where a test asserts on it."""
        return "\n".join(f"{each.verdict}: {each.gate}: {each.reason}" for each in self.all) or "[]"


class BaselineInTest:
    """The baseline of this branch and machine.

    Args:
        item: the test.
        session: this process's.
    """

    def __init__(self, item: pytest.Item, session: Session) -> None:
        self._item = item
        self._session = session

    def __repr__(self) -> str:
        return f"<baseline {self._chosen.name or self._chosen.why_none}>"

    @property
    def id(self) -> str:
        """Of the baseline; empty where there is none."""
        return self._chosen.baseline.id if self._chosen.baseline else ""

    def regressions(self, today: Measurement | Sequence[Score | Reply], **margins: str | float) -> Regressions:
        """What is worse than in the baseline.

        Args:
            today: a measurement; or, in a test of a use case, a score or reply for each of its samples, in their order.
            margins: metric → how much worse it may be: `ttft_s="10%"`, `pass_rate="3 points"`.

        Returns:
            Those that are worse, beyond margin and chance: `assert not baseline.regressions(...)`. What cannot be
            decided is not among them: it warns (`InconclusiveWarning`) and stands with the run's gates.

        Raises:
            UsageError: a metric or margin is none, or the scores are not those of the use case's samples.
        """
        __tracebackhide__ = True
        context, rules = self._session.asking(), list(_rules(margins))
        found = [self._held(rule, today) for rule in rules]
        # Each such test is one more chance to be wrong (Bonferroni over tests; over metrics `decided` corrects).
        corrected = [replace(each, p_value=min(1.0, each.p_value * self._tests)) for each in found]
        results = [
            replace(each, evidence=replace(each.evidence, kind=IN_TEST, p_value=plain.p_value))
            for each, plain in zip(decided(corrected), found, strict=True)
        ]
        context.gates += results
        held = Regressions(results)
        for each in held.inconclusive:
            warnings.warn(f"{each.gate}: {each.reason}", InconclusiveWarning, stacklevel=2)
        return held

    @property
    def _chosen(self) -> Chosen:
        stash, session = self._item.config.stash, self._session
        if _CHOSEN not in stash:
            stash[_CHOSEN] = chosen(session.resolved, session.store.header(session.run_id))
        return stash[_CHOSEN]

    @property
    def _tests(self) -> int:
        """How many tests of this session hold something against the baseline; the same on each of xdist's workers."""
        stash = self._item.config.stash
        if _TESTS not in stash:
            stash[_TESTS] = sum(FIXTURE in getattr(item, "fixturenames", ()) for item in self._item.session.items)
        return max(1, stash[_TESTS])

    def _held(self, rule: Regression, today: Measurement | Sequence[Score | Reply]) -> Finding:
        """One rule held against what the baseline has of the same."""
        found, session = self._chosen, self._session
        floors = regressions.floors(session.folder, machine_class(session.host))
        terms = Terms(session.settings.max_error_rate, floors, session.resolved.chosen)
        if isinstance(today, Measurement):
            new = of_measurement(today)
            if found.baseline is None:
                return regressions.without(rule, new.model, new.profile, found)
            [(old, _), *_] = matched(found.baseline.measurements, [new])
            return regressions.of_measured(rule, old, new, found, terms)
        case = self._case(today)
        if found.baseline is None:
            return regressions.without(rule, case.model, case.use_case, found)
        alike = (
            each for each in found.baseline.use_cases if (each.use_case, each.model) == (case.use_case, case.model)
        )
        return regressions.of_case(rule, next(alike, None), case, found, terms)

    def _case(self, today: Sequence[Score | Reply]) -> CaseBaseline:
        if self._item.get_closest_marker(MARK) is None:
            raise UsageError(
                "scores and replies are compared by the samples of a use case, and the test is about none",
                hint=f"mark it with @pytest.mark.usecase; or compare a measurement: {_EXAMPLE}",
            )
        asking = asking_of(self._item, self._session, self._session.asking().model)
        samples, prepared = asking.prepared.samples, asking.prepared
        if len(samples) != len(today):
            raise UsageError(
                f"{len(today)} scores or replies of {len(samples)} samples", hint="give one for each, in their order"
            )
        rows = {sample.id: _row(asking, sample, each) for sample, each in zip(samples, today, strict=True)}
        model = named(asking.model, asking.label.variant)
        return CaseBaseline(prepared.case.name, prepared.page, model, asking.label.version, rows)


def _rules(margins: dict[str, str | float]) -> Iterable[Regression]:
    if not margins:
        raise UsageError("how much worse may what be?", hint=_EXAMPLE)
    for metric, told in margins.items():
        if metric not in METRICS:
            raise UsageError(f"there is no metric {metric!r}{did_you_mean(metric, METRICS)}", hint=_EXAMPLE)
        try:
            allowed = gate({"metric": metric, "regression": told}).margin
        except ValueError as error:
            raise UsageError(f"{metric}={told!r:.80}: {error}", hint=_EXAMPLE) from None
        yield Regression(metric, allowed)


def _row(asking: Asking, sample: Sample, told: Score | Reply) -> SampleRow:
    score = CaseInTest(asking).score(sample, told) if isinstance(told, Reply) else told
    is_scored = score.passed is not None or score.value is not None
    outcome = Outcome.UNSCORED if not is_scored else Outcome.WRONG if score.passed is False else Outcome.RIGHT
    row = SampleRow(content_of(sample), str(outcome), score.passed, score.value, None, advised=score.advisory)
    cost = amount_of(told.cost) if isinstance(told, Reply) else None
    return row if cost is None else row._replace(cost_usd=str(cost))
