"""The end of a session, on its controller: gates, exit code, reports, summary.

Imported while the first replies are on their way, because a session's end is waited for.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from pytest_llmbench import endings, reports
from pytest_llmbench.asker.caps import caps_of
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import ExitCode, LlmbenchError
from pytest_llmbench.kept_results import KeptResults
from pytest_llmbench.records import Outcome, Run, TestResult
from pytest_llmbench.reports import html_report, terminal
from pytest_llmbench.reports.view import RunView, view
from pytest_llmbench.results.baseline_choice import chosen_or_why
from pytest_llmbench.results.case_gates import Rule
from pytest_llmbench.results.gating import Rules, gates_of
from pytest_llmbench.results.summaries import summaries
from pytest_llmbench.results.trends import trends
from pytest_llmbench.results.verdict import exit_code
from pytest_llmbench.session import Session
from pytest_llmbench.testitems import relative

_ERRORS_SHOWN = 10
"""Of those that say the same, one."""
_DURATION = re.compile(r"\b[\d.]+ (?:s|ms|min)\b")
"""By which two messages that say the same may differ."""


class Conclusion:
    """What a session comes to.

    Args:
        session: the controller's.
        results: what its tests told.
        begun_as: tells what was known of a test, by its node id, before it told anything.
        say: tells the user what could not be written.
    """

    def __init__(
        self,
        session: Session,
        results: KeptResults,
        begun_as: Callable[[str], TestResult | None],
        say: Callable[[str], None],
    ) -> None:
        self._session = session
        self._results = results
        self._begun_as = begun_as
        self._say = say
        self._finished: Run | None = None
        self._shown: RunView | None = None
        self._written: list[Path] = []
        if "html" in session.settings.report:
            html_report.prepare()

    def settle(self, pytest_code: int, tests_failed: int, *, stopped: bool) -> int:
        """Decide, store and write; arguments and result as of `Recorder.finish`."""
        store, run_id, settings = self._session.store, self._session.run_id, self._session.settings
        interrupted = pytest_code == ExitCode.INTERRUPTED
        for unfinished in store.unfinished(run_id):
            known = self._begun_as(unfinished.nodeid) or unfinished
            told = endings.stopped(known) if stopped else endings.never_told(known, interrupted=interrupted)
            store.save_result(run_id, told)
            if (observer := self._session.observer) is not None:
                observer.tests(told)
        run = store.load_run(run_id).current()
        gates = gates_of(run, self._rules(run))
        store.save_gates(run_id, gates)
        code = exit_code(
            ExitCode.TESTS_FAILED if stopped else pytest_code,
            self._results.tally(run, tests_failed),
            gates,
            max_error_rate=settings.max_error_rate,
            inconclusive=settings.inconclusive,
        )
        store.finish_run(run_id, code)
        if settings.keep_calibrations and not interrupted:
            self._keep_calibrations(run)
        self._write_reports(store.as_ended(run))
        return code

    def _rules(self, run: Run) -> Rules:
        session = self._session
        return Rules(
            gates=session.config.all_gates,
            pages=self._use_cases_ended(run),
            max_error_rate=session.settings.max_error_rate,
            caps_usd=caps_of(session.resolved).named,
            compared=lambda run: chosen_or_why(session.resolved, run),
            floors=session.folder,
        )

    def _use_cases_ended(self, run: Run) -> list[Rule]:
        if not any(result.evaluation for result in run.results):
            return []
        from pytest_llmbench.evaluations.ending import ended  # noqa: PLC0415 - not in sessions without use cases

        return ended(self._session, run)

    def _keep_calibrations(self, run: Run) -> None:
        from pytest_llmbench.evaluations.calibrations import keep  # noqa: PLC0415 - only where it was asked for
        from pytest_llmbench.results.judging import unfinished  # noqa: PLC0415 - as above

        for judge, (answered, labels) in unfinished(run).items():
            self._say(f"{judge}: {answered} of {labels} labels were put to it: not kept; `--resume {run.id}` goes on")
        try:
            for path in keep(self._session.resolved, run):
                self._say(f"kept {relative(path)}")
        except LlmbenchError as error:
            self._say(str(error))

    def _with_trends(self, run: Run, shown: RunView) -> RunView:
        """The view with how the run's numbers went over the last runs; they are kept for the next ones first."""
        store = self._session.store
        try:
            told = summaries(run, shown.use_cases)
            store.save_summaries(run.id, told)
            if "html" in self._session.settings.report:
                return dataclasses.replace(shown, trends=trends(store, run, told))
        except LlmbenchError as error:
            self._say(str(error))
        return shown

    def tell_junit(self, config: pytest.Config) -> None:
        """Put the run and its gates into the file of pytest's own `--junitxml`, as properties of its suite."""
        from _pytest.junitxml import xml_key  # noqa: PLC0415 - pytest has no public way but a fixture's

        if (written := config.stash.get(xml_key, None)) is None or self._finished is None:
            return
        from pytest_llmbench.reports.junit_report import run_properties  # noqa: PLC0415 - only where it is written

        for name, value in run_properties(self._finished):
            written.add_global_property(name, value)

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Print the summary, between pytest's own sections."""
        if self._finished is None:
            return
        _tell_infra_errors(reporter, self._finished)
        page = next((str(relative(path)) for path in self._written if path.suffix == ".html"), None)
        reporter.section("llmbench", sep="=")
        width = min(reporter._tw.fullwidth, 100)  # noqa: SLF001
        write_lines(reporter, terminal.summary(self._finished, width=width, report_path=page, shown=self._shown))

    def _write_reports(self, run: Run) -> None:
        self._finished, self._shown = run, view(run)
        if run.exit_code != ExitCode.INTERRUPTED:
            self._shown = self._with_trends(run, self._shown)
        folder = self._session.folder / "reports" / run.id
        for fmt in self._session.settings.report:
            if fmt != "none":
                self._keep(partial(reports.write, run, fmt, folder / reports.file_name(fmt), self._shown))
        if (template := self._session.resolved.report_template) is not None:
            path = folder / reports.template_file_name(template)
            self._keep(partial(reports.write_by_template, run, template, path, self._shown))

    def _keep(self, write: Callable[[], Path]) -> None:
        try:
            self._written.append(write())
        except LlmbenchError as error:
            self._say(str(error))


def write_lines(reporter: pytest.TerminalReporter, lines: Iterable[terminal.Line]) -> None:
    """Print styled lines."""
    for line in lines:
        for text, style in line:
            reporter.write(text, **terminal.MARKUP[style])
        reporter.write("\n")


def _tell_infra_errors(reporter: pytest.TerminalReporter, run: Run) -> None:
    """What failed around the model, with the hint; pytest's own section of failures does not show these."""
    groups: dict[tuple[str, str], list[TestResult]] = {}
    for result in run.results:
        if result.outcome == Outcome.INFRA_ERROR:
            groups.setdefault((result.category, _DURATION.sub("", result.message)), []).append(result)
    if groups:
        reporter.section("infra errors", sep="=")
    for first, *others in islice(groups.values(), _ERRORS_SHOWN):
        more = f" and {len(others):,} more" if others else ""
        reporter.write_line(f"{display_safe(first.key)}{more}: {first.category}", yellow=True)
        for line in first.message.splitlines():
            reporter.write_line(f"  {display_safe(line)}")
    if left := sum(len(group) for group in islice(groups.values(), _ERRORS_SHOWN, None)):
        reporter.write_line(f"... and {left:,} more, all of them in the report")
