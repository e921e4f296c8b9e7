"""What remains to be done with use cases when a run ends: their gates, and what is remembered of their prompts."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytest_llmbench import clock, usecases
from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts.history import History, Result
from pytest_llmbench.records import GateResult, Run
from pytest_llmbench.results import case_gates
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.case_gates import Rule
from pytest_llmbench.session import Session
from pytest_llmbench.usecases import UseCase


def ended(session: Session, run: Run) -> list[GateResult]:
    """Decide the gates of a run's use cases, and remember how each way of asking did.

    Under xdist the controller has collected nothing: it reads the pages that results name.

    Args:
        session: of the controller.
        run: with its results and replies.
    """
    cases = _cases(session, run)
    for asked in by_case(run.results):
        case = cases.get(asked[0].found.page)
        if case is not None:
            past = History(session.folder, case.name)
            whole = past.record(case.prompt, keep_content=session.settings.keep_prompts)
            past.record_results(_results(run, asked, whole))
    own = [Rule(case.name, threshold, page) for page, case in cases.items() for threshold in case.gates]
    return case_gates.evaluate([*own, *case_gates.rules_of(session.config.thresholds)], run)


def _cases(session: Session, run: Run) -> Mapping[str, UseCase]:
    """The use cases that results are of, by page."""
    pages = {result.evaluation.page for result in run.results if result.evaluation}
    found: dict[str, UseCase] = {}
    for page in sorted(each for each in pages if Path(each).name == usecases.PAGE):
        try:
            found[page] = usecases.load(session.resolved.rootdir / page)
        except UsageError as error:
            session.say(f"{page} cannot be read any more, its gates are not decided: {error}")
    return found


def _results(run: Run, asked: Iterable[Asked], whole: str) -> Iterator[Result]:
    """How each way of asking each model did."""
    groups: defaultdict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for each in asked:
        if each.value is not None:
            found = each.found
            groups[each.model, found.prompt_mode, found.prompt, found.prompt_version].append(each.value)
    at = clock.now().isoformat(timespec="seconds")
    for (model, mode, variant, version), values in groups.items():
        yield Result(run.id, model, mode, variant, version, whole, len(values), statistics.fmean(values), at)
