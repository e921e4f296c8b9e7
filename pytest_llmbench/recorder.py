"""The run recorder: what becomes of tests that are ours, in one process.

In a worker (or the only process) it grants the machine, attaches what a test did to its report, and closes; on the
controller it stores outcomes as they arrive and, at the end, decides gates and exit code and writes the reports.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench import config as configuration
from pytest_llmbench import http, options, reports
from pytest_llmbench.display import display_safe, terminal_safe
from pytest_llmbench.errors import Category, ExitCode, InfraError, LlmbenchError, StoreError, UsageError
from pytest_llmbench.fixtures import fixtures_of
from pytest_llmbench.launch import die_with_parent
from pytest_llmbench.records import Outcome, Run, ServerSpec, TestResult
from pytest_llmbench.reports import terminal
from pytest_llmbench.results.gates import evaluate
from pytest_llmbench.results.outcomes import classify
from pytest_llmbench.results.verdict import Tally, exit_code
from pytest_llmbench.session import Identity, Session, TestContext
from pytest_llmbench.testitems import context_of, message_of, needs_machine, relative, stable_key

_ERRORS_SHOWN = 10
_DEATH_S = 5.0
_PHASES = ("setup", "call", "teardown")
_GOOD = (Outcome.RIGHT, Outcome.SKIPPED)


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
        self._infra_reports = 0
        self._lost = 0
        self._results: dict[str, TestResult] = {}
        """Node id → what is stored of it; a worse outcome is not replaced by a later, better one."""
        self._made: dict[Any, tuple[list[str], list[str]]] = {}
        """Fixture → measurements and replies of its last set-up."""
        self._finished: Run | None = None
        self._written: list[Path] = []
        try:
            resolved = _resolve(config)
            self.session = Session(resolved, Identity.from_dict(identity), self._say)
            if resolved.settings.resume and not is_worker:
                self.session.resume(resolved.settings.resume)
        except LlmbenchError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
        if is_worker and os.getppid() == self.session.identity.controller_pid:
            die_with_parent(os.getppid())  # else it would finish its test first, with nobody to tell

    def handed_to_workers(self) -> dict[str, Any]:
        """What a worker needs to belong to this run; builtin types only."""
        return self.session.identity.as_dict()

    def checked_names(self, names: Sequence[str]) -> list[str]:
        """The names of a `models` marker; one that nobody knows ends the collection of its file."""
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise pytest.Collector.CollectError(f"models() takes names, one after the other, not {wrong[0]!r}")
        try:
            known = [self.session.checked_external(name) or self.session.local_name(name) for name in names]
            return list(dict.fromkeys(known))
        except UsageError as error:
            raise pytest.Collector.CollectError(str(error)) from error

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
        if context is None or context.nodeid != report.nodeid:
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
            duration_s=report.duration,
            measurement_ids=_once(context.measurement_ids, *(measured for measured, _ in made)),
            reply_ids=_once(context.reply_ids, *(replies for _, replies in made)),
        )
        report.llmbench = result.as_dict()  # type: ignore[attr-defined]

    def record(self, report: pytest.TestReport) -> None:
        """Store one report's outcome, on the controller, as it arrives."""
        if str(report.when) not in _PHASES:
            self._attach_crash(report)
        sent = getattr(report, "llmbench", None)
        if sent is None or str(report.outcome) == "rerun":
            return
        result = TestResult.from_dict(json.loads(json.dumps(sent)))
        if report.failed and result.outcome == Outcome.INFRA_ERROR:
            self._infra_reports += 1
        whole = result.phase == "call" or not report.passed or self._config.option.setuponly
        known = self._results.get(result.nodeid)
        if whole and (known is None or known.outcome in _GOOD):
            self._results[result.nodeid] = result
            self._save(result)

    def _save(self, result: TestResult) -> None:
        """An escaping error here would be pytest's INTERNALERROR and lose the run; it is told and counted instead."""
        try:
            self.session.store.save_result(self.session.run_id, result)
        except StoreError as error:
            self._lost += 1
            self._say(f"{result.nodeid}: the result could not be stored: {error}")

    def finish(self, pytest_code: int, tests_failed: int, *, stopped: bool) -> int:
        """On the controller: settle what no report told of, decide, store and write.

        Args:
            pytest_code: what pytest would exit with.
            tests_failed: pytest's own count of failed reports, of tests that are not ours too.
            stopped: `-x` or `--maxfail` ended the session.

        Returns:
            The exit code.
        """
        if self._is_worker or not self.session.has_store:
            return pytest_code
        try:
            code = self._settle(pytest_code, tests_failed - self._infra_reports, stopped=stopped)
        except LlmbenchError as error:
            self._say(str(error))
            return pytest_code or ExitCode.INFRA_ERRORS
        return ExitCode.INFRA_ERRORS if self._lost and code == ExitCode.OK else code

    def _settle(self, pytest_code: int, plain_failures: int, *, stopped: bool) -> int:
        store, run_id, settings = self.session.store, self.session.run_id, self.session.settings
        interrupted = pytest_code == ExitCode.INTERRUPTED
        for unfinished in store.unfinished(run_id):
            told = _stopped(unfinished) if stopped else _never_told(unfinished, interrupted=interrupted)
            store.save_result(run_id, told)
        run = store.load_run(run_id).current()
        gates = evaluate(self.session.config.thresholds, run)
        store.save_gates(run_id, gates)
        code = exit_code(
            ExitCode.TESTS_FAILED if stopped else pytest_code,
            _tally(run, plain_failures),
            gates,
            max_error_rate=settings.max_error_rate,
            inconclusive=settings.inconclusive,
        )
        store.finish_run(run_id, code)
        self._finished = store.load_run(run_id).current()
        self._write_reports(self._finished)
        return code

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Print the summary, between pytest's own sections."""
        if self._finished is None:
            return
        self._tell_infra_errors(reporter, self._finished)
        shown = next((str(relative(path)) for path in self._written if path.suffix == ".html"), None)
        reporter.section("llmbench", sep="=")
        for line in terminal.summary(self._finished, width=min(reporter._tw.fullwidth, 100), report_path=shown):  # noqa: SLF001
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
        if not self._is_worker:
            self.session.stop_servers()
        self.session.close()
        http.close()

    def _declared(self, context: TestContext) -> list[ServerSpec]:
        if not context.model or self.session.external(context.model):
            return []
        return [self.session.spec(context.model)]

    def _attach_crash(self, report: pytest.TestReport) -> None:
        """A worker died: the test it was on, or was about to begin, is an infra error, if it was ours."""
        # It may have died in the test's teardown: then it is known here, and its outcome no longer stands.
        known = self._results.pop(report.nodeid, None) or self.session.known(report.nodeid)
        if known is not None:
            ended = _how_it_ended(getattr(report, "node", None))
            report.llmbench = _never_told(known, interrupted=False, ended=ended).as_dict()  # type: ignore[attr-defined]

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
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
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


def _how_it_ended(node: Any) -> str:
    """A dead worker's exit code or signal, in words; empty where xdist did not start it as a process of ours."""
    process = getattr(getattr(getattr(node, "gateway", None), "_io", None), "popen", None)
    if process is None:
        return ""
    try:
        code = process.wait(timeout=_DEATH_S)
    except subprocess.TimeoutExpired:
        return ""
    names = {number.value: number.name for number in signal.Signals}
    return f" ({names.get(-code, f'signal {-code}')})" if code < 0 else f" (exit code {code})"


def _never_told(unfinished: TestResult, *, interrupted: bool, ended: str = "") -> TestResult:
    category = Category.CANCELLED if interrupted else Category.LOCAL_WORKER_CRASH
    message = "the session was interrupted" if interrupted else f"the process that ran this test died{ended}"
    return TestResult(
        unfinished.nodeid, unfinished.key, str(Outcome.INFRA_ERROR), message=message, category=str(category)
    )


def _stopped(unfinished: TestResult) -> TestResult:
    message = "the session stopped (-x or --maxfail) while it ran"
    return TestResult(unfinished.nodeid, unfinished.key, str(Outcome.SKIPPED), message=message)


def _once(*several: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for some in several for each in some))


def _tally(run: Run, plain_failures: int) -> Tally:
    outcomes = [result.outcome for result in run.results]
    return Tally(
        plain_failures=plain_failures,
        over_budget=outcomes.count(Outcome.OVER_BUDGET),
        infra_errors=outcomes.count(Outcome.INFRA_ERROR),
        ran=len(outcomes) - outcomes.count(Outcome.SKIPPED),
    )
