"""The run recorder: what becomes of tests that are ours, in one process.

In a worker (or the only process) it grants the machine, attaches what a test did to its report, and closes; on the
controller it stores outcomes as they arrive and, at the end, decides gates and exit code and writes the reports. What
one of them needs alone is imported there: each worker's imports delay the first answer of all.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmbench import garbage, testitems
from pytest_llmbench.ahead import (
    ask_ahead,
    asked_models,
    check_models,
    check_priced,
    follow,
    group_local,
    share_of,
    stop_early,
    tell_unasked,
)
from pytest_llmbench.announced import announce, announced, forget, forget_left
from pytest_llmbench.contexts import Identity, TestContext
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import ExitCode, InfraError, LlmbenchError, NotAskedError, StoreError, UsageError
from pytest_llmbench.fixtures import ITEM, fixtures_of
from pytest_llmbench.launch import die_with_parent
from pytest_llmbench.own_tests import OwnItem
from pytest_llmbench.records import ServerSpec, TestResult
from pytest_llmbench.resolving import resolve
from pytest_llmbench.results.outcomes import classify
from pytest_llmbench.session import Session
from pytest_llmbench.showing import Showing

if TYPE_CHECKING:
    from pytest_llmbench.conclusion import Conclusion
    from pytest_llmbench.evaluations.following import Follower
    from pytest_llmbench.kept_results import KeptResults

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
        self.is_worker = is_worker
        self._made: dict[Any, tuple[list[str], list[str]]] = {}
        """Fixture → measurements and replies of its last set-up."""
        self._announced: dict[str, dict[str, Any]] = {}
        """On the controller: node id → what is known before they run of the tests of ours that workers run."""
        self._latest: TestContext | None = None
        """Of the test that ran last in this process."""
        self._begun: Future[None] | None = None
        """The last note of a test that began, on its way into the store."""
        self._follower: Follower | None = None
        self._showing = Showing(config, lambda: self.session)
        try:
            resolved = resolve(config)
            if not is_worker:
                from pytest_llmbench.named_files import check

                check(resolved)
            self.session = Session(resolved, Identity.from_dict(identity), self._say, is_worker=is_worker)
            if not is_worker and (resolved.settings.resume or resolved.settings.rejudge):
                self.session.choose_run()
        except LlmbenchError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
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

    def check_models(self, items: Sequence[pytest.Item]) -> None:
        """As `ahead.check_models`."""
        check_models(self.session, items)

    def open_store(self) -> None:
        """Open the results database before any test of ours runs; under xdist on the controller alone.

        Raises:
            pytest.UsageError: results cannot be kept there.
        """
        if self.is_worker:
            return
        try:
            self.session.store  # noqa: B018 - opened at first use
            self.session.observer  # noqa: B018 - as above: what it lacks is told before anything is asked
            self.session.cache  # noqa: B018 - as above
            self._showing.watch_alerts()
        except (StoreError, UsageError) as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error

    def announce(self, items: Sequence[pytest.Item]) -> None:
        """On a worker: tell the controller which tests of ours it is going to run."""
        with contextlib.suppress(pytest.UsageError, OSError):  # told when the first of them is to begin
            self.check_models(items)
            announce(self.session.meeting_place, items)

    def expect(self) -> None:
        """On the controller, when a worker has collected its tests and none has begun: prepare for those of ours.

        Raises:
            pytest.UsageError: results cannot be kept.
        """
        self._announced |= announced(self.session.meeting_place)
        if self._begun is not None:
            forget(self.session.meeting_place)  # of a worker that takes a dead one's place
        if self._announced:
            self.open_store()

    def begins(self, nodeid: str) -> None:
        """On the controller: note that a worker begins a test, if it is ours."""
        if nodeid in self._announced:
            if self._begun is None:
                forget(self.session.meeting_place)  # tests begin when all workers have announced theirs
            self.show_progress()
            self._showing.begin_log()
            self._conclusion  # noqa: B018 - made while replies are waited for: the end of a session is waited for, too
            known = self._announced[nodeid]
            begun = self.session.run_id, nodeid, known["key"], known.get("model", "")
            self._begun = self.session.store.order_start(*begun)

    def ask_ahead(self, items: Sequence[pytest.Item]) -> None:
        """Have the replies asked for that these tests of ours are going to take.

        Raises:
            pytest.UsageError: a budget does not know what they may cost.
        """
        try:
            check_priced(self.session, items)
        except UsageError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
        models = {model for item in items for model in asked_models(self.session, item) if model}
        self.session.asks = any(map(self.session.is_remote, models))
        if not self.is_worker and any(model.startswith("demo/") for model in models):
            # Here, before another thread does: pytest rewrites our modules, which Python 3.11 cannot in two threads.
            import pytest_llmbench.demo  # noqa: F401
        chosen = self._config.option
        leaves_out = stop_early(self.session, items, is_worker=self.is_worker)
        may_stop = leaves_out or bool(chosen.maxfail) or bool(getattr(chosen, "stepwise", False))
        if self.session.asks or self._showing.is_of_matrix(items):
            self.show_progress(items)
        if not self.is_worker:
            self._showing.begin_log()
        ask_ahead(self.session, items, may_stop=may_stop, share=share_of(self._config))
        group_local(self.session, items, may_stop=may_stop, is_worker=self.is_worker)
        self._follower = follow(self.session, items, may_stop=may_stop, share=share_of(self._config))
        if not self.is_worker:
            self._conclusion  # noqa: B018 - as in `begins`
        garbage.spare()

    def dry_run(self, items: Sequence[pytest.Item]) -> None:
        """Tell what these tests of ours would ask, in place of running any.

        Raises:
            pytest.UsageError: the cassette or the results database cannot be read.
        """
        from pytest_llmbench.conclusion import write_lines
        from pytest_llmbench.dry_run import foreseen

        tell_unasked(self.session, items)
        width = min(self._reporter._tw.fullwidth, 100) if self._reporter else 80  # noqa: SLF001
        try:
            lines = foreseen(self.session, items, width=width)
        except LlmbenchError as error:
            raise pytest.UsageError(terminal_safe(str(error))) from error
        if self._reporter:
            self._reporter.section("llmbench", sep="=")
            write_lines(self._reporter, lines)

    def show_progress(self, items: Sequence[pytest.Item] = ()) -> None:
        """Begin to show how asking goes, or how far a matrix is; under xdist that is seen on the controller."""
        if not self.is_worker:
            self._showing.begin(items)

    def begin(self, item: pytest.Item) -> None:
        """From here to `end` what is asked belongs to this test."""
        self.session.context = self._latest = testitems.context_of(item)

    def grant(self) -> None:
        """Note that the test starts, and get it what it declared. Comes after skip marks, before its fixtures."""
        context = self.session.context
        if context is not None:
            context.judges = testitems.judges_of(self._config.stash[ITEM], self.session)
            self.session.grant(testitems.needs_machine(context, self.session), lambda: self._declared(context))

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
        if isinstance(error, NotAskedError):
            testitems.skip(report, item.path, error.message)
        outcome, category = classify(error, skipped=report.outcome == "skipped", failed=report.failed)
        message = testitems.message_of(error, report)
        if error is None and isinstance(item, OwnItem):
            outcome, message = item.ended(report)
        made = [self._made.get(used, ((), ())) for used in fixtures_of(item)]
        result = TestResult(
            nodeid=report.nodeid,
            key=context.key,
            outcome=str(outcome),
            phase=report.when,
            message=message,
            category=category,
            model=context.model,
            sample=context.sample,
            duration_s=report.duration,
            measurement_ids=testitems.once(context.measurement_ids, *(measured for measured, _ in made)),
            reply_ids=testitems.once(context.reply_ids, *(replies for _, replies in made)),
            evaluation=context.evaluation,
            gates=tuple(context.gates),
            rules=context.rules,
        )
        if testitems.is_counted(item, result, error, self.session):
            report.outcome, report.longrepr = "passed", None
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
        sent["evaluation"] = None  # pytest keeps all reports to the end

    def finish(self, pytest_code: int, tests_failed: int, *, stopped: bool) -> int:
        """On the controller: settle what no report told of, decide, store and write.

        Args:
            pytest_code: what pytest would exit with.
            tests_failed: pytest's own count of failed reports, of tests that are not ours too.
            stopped: `-x` or `--maxfail` ended the session.

        Returns:
            The exit code.
        """
        for told in self._showing.end():
            self._say(told)
        if self._follower is not None:
            self._follower.stop()
        if self.is_worker or not self.session.has_store:
            self.session.flush_log()
            return pytest_code
        try:
            self.session.end_asking()
            self._showing.end_log()
            if self._begun is not None:
                self._begun.result()  # all before it are stored, too
            self._results.settle()
            with garbage.left_alone():
                code = self._conclusion.settle(pytest_code, tests_failed, stopped=stopped)
                self._conclusion.tell_junit(self._config)
        except LlmbenchError as error:
            self._say(str(error))
            failed_plainly = stopped or self._results.plain_failures(tests_failed) > 0
            only_ours = pytest_code == ExitCode.TESTS_FAILED and not failed_plainly
            return ExitCode.INFRA_ERRORS if only_ours else pytest_code or ExitCode.INFRA_ERRORS
        return ExitCode.INFRA_ERRORS if self._results.lost and code == ExitCode.OK else code

    def summarize(self, reporter: pytest.TerminalReporter) -> None:
        """Print the summary, between pytest's own sections."""
        if "_conclusion" in self.__dict__:
            self._conclusion.summarize(reporter)

    def close(self) -> None:
        self._showing.end()
        if not self.is_worker:
            self.session.stop_servers()
            forget_left(self.session.meeting_place, self.session.identity.controller_pid)
        self.session.close()
        if self._follower is not None:
            self._follower.stop()
            self._follower.join()
        if "pytest_llmbench.http" in sys.modules:
            from pytest_llmbench import http

            http.close()
        # Thousands of records, which pytest's last collections would look through.
        self.__dict__.pop("_conclusion", None)

    @cached_property
    def _conclusion(self) -> Conclusion:
        from pytest_llmbench.conclusion import Conclusion

        return Conclusion(self.session, self._results, self._begun_as, self._say)

    @cached_property
    def _results(self) -> KeptResults:
        from pytest_llmbench.kept_results import KeptResults

        return KeptResults(self.session, self._say)

    @property
    def _reporter(self) -> Any:
        return self._showing.reporter

    def _declared(self, context: TestContext) -> list[ServerSpec]:
        names = () if context.claims_in_turn else testitems.local_models(context, self.session)
        return [self.session.local.spec(name) for name in names]

    def _attach_crash(self, report: pytest.TestReport) -> None:
        """A worker died: the test it was on, or was about to begin, is an infra error, if it was ours."""
        # It may have died in the test's teardown: then it is known here, and its outcome no longer stands.
        stored = self._results.forget(report.nodeid) or self.session.known(report.nodeid)
        known = self._begun_as(report.nodeid) or stored
        if known is not None:
            from pytest_llmbench import endings

            ended = endings.how_it_ended(getattr(report, "node", None))
            report.llmbench = endings.never_told(known, interrupted=False, ended=ended).as_dict()  # type: ignore[attr-defined]

    def _begun_as(self, nodeid: str) -> TestResult | None:
        """What was known of a test of ours before it told anything; None where this process does not know."""
        if nodeid in self._announced:
            return TestResult.from_dict(self._announced[nodeid])
        latest = self._latest
        return latest.begun() if latest is not None and latest.nodeid == nodeid else None

    def _say(self, text: str) -> None:
        reporter, capture = self._showing.reporter, self._showing.capture
        # While a test is set up even the reporter's output is captured, and shown only if the test fails.
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            if reporter is not None and not self.is_worker:
                self._showing.begin_line()
                reporter.write_line(f"llmbench: {terminal_safe(text)}", yellow=True)
            elif sys.__stderr__ is not None:  # nobody sees what an xdist worker's reporter writes
                print(f"llmbench: {terminal_safe(text)}", file=sys.__stderr__, flush=True)
