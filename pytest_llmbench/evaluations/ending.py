"""What remains to be done with use cases when a run ends: whose gates there are, what is remembered of prompts."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator

from pytest_llmbench import clock
from pytest_llmbench.prompts.history import History, Result
from pytest_llmbench.records import Run
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.case_gates import Rule
from pytest_llmbench.results.pages import pages_of
from pytest_llmbench.session import Session


def ended(session: Session, run: Run) -> list[Rule]:
    """Find the gates of a run's use cases, and remember how each way of asking did.

    Under xdist the controller has collected nothing: it reads the pages that results name.

    Args:
        session: of the controller.
        run: with its results and replies.
    """
    pages = pages_of(run, session.resolved.rootdir)
    for page, why in pages.unreadable.items():
        session.say(f"{page} cannot be read any more, its gates are not decided: {why}")
    for asked in by_case(run.results):
        case = pages.cases.get(asked[0].found.page)
        if case is not None:
            past = History(session.folder, case.name)
            whole = past.record(case.prompt, keep_content=session.settings.keep_prompts)
            past.record_results(_results(run, asked, whole))
    return pages.rules


def _results(run: Run, asked: Iterable[Asked], whole: str) -> Iterator[Result]:
    """How each way of asking each model did."""
    groups: defaultdict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for each in asked:
        if each.value is not None and not each.found.corruption:
            found = each.found
            groups[each.model, found.prompt_mode, found.prompt, found.prompt_version].append(each.value)
    at = clock.now().isoformat(timespec="seconds")
    for (model, mode, variant, version), values in groups.items():
        yield Result(run.id, model, mode, variant, version, whole, len(values), statistics.fmean(values), at)
