"""The run recorder: what becomes of tests that are ours, in one process.

In a worker (or the only process) it grants the machine, attaches what a test did to its report, and closes; on the
controller it stores outcomes as they arrive and, at the end, decides gates and exit code and writes the reports.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench import config as configuration
from pytest_llmbench import endings, garbage, http, options, reports
from pytest_llmbench.ahead import ask_ahead, share_of
from pytest_llmbench.asker import cassette
from pytest_llmbench.contexts import Identity, TestContext
from pytest_llmbench.display import display_safe, terminal_safe
from pytest_llmbench.errors import ExitCode, InfraError, LlmbenchError, StoreError, UsageError
from pytest_llmbench.fixtures import fixtures_of
from pytest_llmbench.kept_results import KeptResults
from pytest_llmbench.launch import die_with_parent
from pytest_llmbench.records import Outcome, Run, Sample, ServerSpec, TestResult
from pytest_llmbench.reports import live, terminal
from pytest_llmbench.results.gates import evaluate
from pytest_llmbench.results.outcomes import classify
from pytest_llmbench.results.verdict import exit_code
from pytest_llmbench.samples import dataset_of
from pytest_llmbench.session import Session
from pytest_llmbench.testitems import context_of, message_of, model_of, needs_machine, relative, stable_key

_ERRORS_SHOWN = 10
_PHASES = ("setup", "call", "teardown")


class Recorder:
    """One process's recorder.

    Args:
        config: pytest's.
        identity: `run_id` and `controller_pid`, from the controller.
        is_worker: whether this is an xdist worker.

    Raises:
        pytest.UsageError: a setting, llmbench.yaml or the run to resume is not valid.
    """

    def __init__(self, config: pytest.Config, identity: Mapping[str, Any], *, is_worker: bool) -> None:
        self._config = config
        self._is_worker = is_worker
        self._made: dict[Any, tuple[list[str], list[str]]] = {}
        """Fixture → measurements and replies of its last set-up."""
        self._finished: Run | None = None
        self._written: list[Path] = []
        self._shows_progress = False
        self._display: live.Display | None = None
        try:
            resolved = _resolve(config)
            if not is_worker:
                cassette.check(resolved)
            self.session = Session(resolved, Identity.from_dict(identity), self._say, is_worker=is_worker)
            if resolved.settings.resume and not is_worker:
                self.session.resume(resolved.settings.resume)
        except LlmbenchError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
        self._results = KeptResults(self.session, self._say)
        if is_worker and os.getppid() == self.session.identity.controller_pid:
            die_with_parent(os.getppid())  # else it would finish its test first, with nobody to tell

    def handed_to_workers(self) -> dict[str, Any]:
        """What a worker needs to belong to this run; builtin types only. What lies with batch APIs is fetched before.

        Raises:
            pytest.UsageError: the results database cannot be read or written.
        """
        chosen = self._config.option
        if not (chosen.collectonly or chosen.setupplan):
            try:
                self.session.collect()
            except LlmbenchError as error:
                raise pytest.UsageError(terminal_safe(str(error))) from error
        return self.session.identity.as_dict()

    def checked_names(self, names: Sequence[str]) -> list[str]:
        """The names of a `models` marker; one that nobody knows ends the collection of its file."""
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise pytest.Collector.CollectError(f"models() takes names, one after the other, not {wrong[0]!r}")
        try:
            known = [name if self.session.is_remote(name) else self.session.local_name(name) for name in names]
            return list(dict.fromkeys(known))
        except UsageError as error:
            raise pytest.Collector.CollectError(str(error)) from error

    def samples(self, test: pytest.Item) -> Sequence[Sample]:
        """The samples of a `dataset` marker; a file that is none ends the collection of the test's file."""
        try:
            return dataset_of(test, self.session.datasets).samples
        except UsageError as error:
            raise pytest.Collector.CollectError(terminal_safe(str(error))) from error

    def open_store(self, items: Iterable[pytest.Item]) -> None:
        """Open the results database before any of these tests of ours runs.

        Raises:
            pytest.UsageError: results cannot be kept there.
        """
        try:
            store = self.session.store
            if self._is_worker:  # if it dies, xdist names a test, and only a worker knows which ones are ours
                store.expect(self.session.run_id, [(item.nodeid, stable_key(item)) for item in items])
        except StoreError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error

    def ask_ahead(self, items: Sequence[pytest.Item]) -> None:
        """Have the replies asked for that these tests of ours are going to take."""
        self.session.asks = any(self.session.is_remote(model) for model in set(map(model_of, items)) if model)
        chosen = self._config.option
        may_stop = bool(chosen.maxfail) or bool(getattr(chosen, "stepwise", False))
        if self.session.asks:
            self.show_progress()
        ask_ahead(self.session, items, may_stop=may_stop, share=share_of(self._config))
        garbage.spare()

    def dry_run(self, items: Sequence[pytest.Item]) -> None:
        """Tell what these tests of ours would ask, in place of running any.

        Raises:
            pytest.UsageError: the cassette or the results database cannot be read.
        """
        from pytest_llmbench.dry_run import foreseen  # noqa: PLC0415 - no other session needs it

        width = min(self._reporter._tw.fullwidth, 100) if self._reporter else 80  # noqa: SLF001
        try:
            lines = foreseen(self.session, items, width=width)
        except LlmbenchError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
        if self._reporter:
            self._reporter.section("llmbench", sep="=")
            self._write(self._reporter, lines)

    def show_progress(self) -> None:
        """Begin to show how asking goes; under xdist that is seen on the controller."""
        if not self._is_worker and not self._shows_progress:
            self._shows_progress = True
            status, how = self.session.asking_status, self.session.settings.progress
            self._display = live.display(self._reporter, self._capture, status, how)

    def begin(self, item: pytest.Item) -> None:
        """From here to `end` what is asked belongs to this test."""
        self.session.context = context_of(item)

    def grant(self) -> None:
        """Note that the test starts, and get it what it declared. Comes after skip marks, before its fixtures."""
        context = self.session.context
        if context is not None:
            self.session.grant(needs_machine(context, self.session), lambda: self._declared(context))

    def end(self) -> None:
        try:
            self.session.end()
        except InfraError as error:
            self._say(str(error))

    @contextmanager
    def owned_by(self, fixturedef: Any, request: Any) -> Iterator[None]:
        """While a fixture is set up, what is asked belongs to it, and to every test that uses it."""
        context = self.session.context
        if context is None:
            yield
            return
        name = f"{fixturedef.baseid}::{fixturedef.argname}[{getattr(request, 'param_index', 0)}]"
        context.owners.append((str(fixturedef.scope), name))
        before = len(context.measurement_ids), len(context.reply_ids)
        try:
            yield
        finally:
            context.owners.pop()
            self._made[fixturedef] = context.measurement_ids[before[0] :], context.reply_ids[before[1] :]

    def attach(self, item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Put what the test did on its report, the only road to the controller: builtin types, references only."""
        context = self.session.context
        if context is None or context.nodeid != report.nodeid or not self._tells(report):
            return
        error = call.excinfo.value if call.excinfo else None
        outcome, category = classify(error, skipped=report.outcome == "skipped", failed=report.failed)
        made = [self._made.get(used, ((), ())) for used in fixtures_of(item)]
        result = TestResult(
            nodeid=report.nodeid,
            key=context.key,
            outcome=str(outcome),
            phase=report.when,
            message=message_of(error, report),
            category=category,
            model=context.model,
            sample=context.sample,
            duration_s=report.duration,
            measurement_ids=_once(context.measurement_ids, *(measured for measured, _ in made)),
            reply_ids=_once(context.reply_ids, *(replies for _, replies in made)),
        )
        report.llmbench = result.as_dict()  # type: ignore[attr-defined]

    def _tells(self, report: pytest.TestReport) -> bool:
        """Whether the report says how the test ended; that it was set up or torn down as it should says nothing."""
        return report.when == "call" or not report.passed or bool(self._config.option.setuponly)

    def record(self, report: pytest.TestReport) -> None:
        """Store one report's outcome, on the controller, as it arrives."""
        if str(report.when) not in _PHASES:
            self._attach_crash(report)
        sent = getattr(report, "llmbench", None)
        if sent is None or str(report.outcome) == "rerun":
            return
        if self._config.pluginmanager.hasplugin("dsession"):
            self.show_progress()
        self._results.take(sent, failed=report.failed)

    def finish(self, pytest_code: int, tests_failed: int, *, stopped: bool) -> int:
        """On the controller: settle what no report told of, decide, store and write.

        Args:
            pytest_code: what pytest would exit with.
            tests_failed: pytest's own count of failed reports, of tests that are not ours too.
            stopped: `-x` or `--maxfail` ended the session.

        Returns:
            The exit code.
        """
        self._end_progress()
        if self._is_worker or not self.session.has_store:
            return pytest_code
        try:
            self.session.end_asking()
            self._results.settle()
            with garbage.left_alone():
                code = self._settle(pytest_code, tests_failed, stopped=stopped)
        except LlmbenchError as error:
            self._say(str(error))
            return pytest_code or ExitCode.INFRA_ERRORS
        return ExitCode.INFRA_ERRORS if self._results.lost and code == ExitCode.OK else code

    def _settle(self, pytest_code: int, tests_failed: int, *, stopped: bool) -> int:
        store, run_id, settings = self.session.store, self.session.run_id, self.session.settings
        interrupted = pytest_code == ExitCode.INTERRUPTED
        for unfinished in store.unfinished(run_id):
            told = endings.stopped(unfinished) if stopped else endings.never_told(unfinished, interrupted=interrupted)
            store.save_result(run_id, told)
        run = store.load_run(run_id).current()
        gates = evaluate(self.session.config.thresholds, run)
        store.save_gates(run_id, gates)
        code = exit_code(
            ExitCode.TESTS_FAILED if stopped else pytest_code,
            self._results.tally(run, tests_failed),
            gates,
            max_error_rate=settings.max_error_rate,
            inconclusive=settings.inconclusive,
        )
        store.finish_run(run_id, code)
        self._finished = store.as_ended(run)
        self._write_reports(self._finished)
        return code

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Print the summary, between pytest's own sections."""
        if self._finished is None:
            return
        self._tell_infra_errors(reporter, self._finished)
        shown = next((str(relative(path)) for path in self._written if path.suffix == ".html"), None)
        reporter.section("llmbench", sep="=")
        width = min(reporter._tw.fullwidth, 100)  # noqa: SLF001
        self._write(reporter, terminal.summary(self._finished, width=width, report_path=shown))

    def _write(self, reporter: pytest.TerminalReporter, lines: Iterable[terminal.Line]) -> None:
        for line in lines:
            for text, style in line:
                reporter.write(text, **terminal.MARKUP[style])
            reporter.write("\n")

    def _tell_infra_errors(self, reporter: pytest.TerminalReporter, run: Run) -> None:
        """What failed around the model, with the hint; pytest's own section of failures does not show these."""
        broken = [result for result in run.results if result.outcome == Outcome.INFRA_ERROR]
        if broken:
            reporter.section("infra errors", sep="=")
        for result in broken[:_ERRORS_SHOWN]:
            reporter.write_line(f"{display_safe(result.key)}: {result.category}", yellow=True)
            for line in result.message.splitlines():
                reporter.write_line(f"  {display_safe(line)}")
        if len(broken) > _ERRORS_SHOWN:
            reporter.write_line(f"... and {len(broken) - _ERRORS_SHOWN} more, all of them in the report")

    def close(self) -> None:
        self._end_progress()
        if not self._is_worker:
            self.session.stop_servers()
        self.session.close()
        http.close()
        self._finished = None  # thousands of records, which pytest's own last collections would look through
        garbage.spare_no_longer()

    def _end_progress(self) -> None:
        shown, self._display = self._display, None
        live.end(self._reporter, shown)

    @property
    def _reporter(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @property
    def _capture(self) -> Any:
        return self._config.pluginmanager.get_plugin("capturemanager")

    def _declared(self, context: TestContext) -> list[ServerSpec]:
        if not context.model or self.session.is_remote(context.model):
            return []
        return [self.session.spec(context.model)]

    def _attach_crash(self, report: pytest.TestReport) -> None:
        """A worker died: the test it was on, or was about to begin, is an infra error, if it was ours."""
        # It may have died in the test's teardown: then it is known here, and its outcome no longer stands.
        known = self._results.forget(report.nodeid) or self.session.known(report.nodeid)
        if known is not None:
            ended = endings.how_it_ended(getattr(report, "node", None))
            report.llmbench = endings.never_told(known, interrupted=False, ended=ended).as_dict()  # type: ignore[attr-defined]

    def _write_reports(self, run: Run) -> None:
        folder = self.session.folder / "reports" / run.id
        for fmt in self.session.settings.report:
            if fmt == "none":
                continue
            try:
                self._written.append(reports.write(run, fmt, folder / f"report.{fmt}"))
            except LlmbenchError as error:
                self._say(str(error))

    def _say(self, text: str) -> None:
        reporter, capture = self._reporter, self._capture
        # While a test is set up even the reporter's output is captured, and shown only if the test fails.
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            if reporter is not None and not self._is_worker:
                reporter.ensure_newline()
                reporter.write_line(f"llmbench: {terminal_safe(text)}", yellow=True)
            elif sys.__stderr__ is not None:  # nobody sees what an xdist worker's reporter writes
                print(f"llmbench: {terminal_safe(text)}", file=sys.__stderr__, flush=True)


def _resolve(config: pytest.Config) -> configuration.Resolved:
    for option in options.OPTIONS:
        if option.personal and config.getoption(option.ini) is not None and not _typed_by_the_user(config, option.flag):
            raise UsageError(
                f"addopts of {config.inipath or 'the ini file'} passes {option.flag}, which names a program to run",
                hint=f"a project's files may not choose what is executed; set {option.env} or pass the flag yourself",
            )
    ini = options.ini_values(config.getini)
    cli = {option.name: config.getoption(option.ini) for option in options.OPTIONS}
    name = config.inipath.name if config.inipath else "ini file"
    return configuration.resolve(cli, os.environ, ini, config.rootpath, ini_name=name)


def _typed_by_the_user(config: pytest.Config, flag: str) -> bool:
    typed = [*map(str, config.invocation_params.args), os.environ.get("PYTEST_ADDOPTS", "")]
    return hasattr(config, "workerinput") or any(flag in argument for argument in typed)


def _once(*several: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for some in several for each in some))
