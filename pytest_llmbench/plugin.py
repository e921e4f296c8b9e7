"""pytest's hooks, a few lines each. Imports the standard library and pytest alone: every project loads this module.

What a session does once a test asks for something stands in `recorder.py`; it is imported then.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmbench import fixtures, garbage, options
from pytest_llmbench.keyless_ids import KeylessIds
from pytest_llmbench.own_tests import is_own_file, may_be_matrix

if TYPE_CHECKING:
    from pytest_llmbench.recorder import Recorder

_CRASHED = "???"
"""`when` of the report that xdist makes for the test a dead worker was on."""

_SHOWN: Mapping[str, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "infra_error": ("infra error", "I", ("INFRA ERROR", {"yellow": True})),
    "over_budget": ("over budget", "$", ("OVER BUDGET", {"yellow": True})),
    "pending": ("pending", "P", ("PENDING", {"yellow": True})),
    "unscored": ("unscored", "U", ("UNSCORED", {"yellow": True})),
}
"""How pytest shows outcomes that it does not know: name in the summary, letter, word."""
_WRONG_UNDER_GATES = "wrong", "w", ("WRONG", {"yellow": True})
"""Of a use case whose gates decide: pytest counts no failure."""

MARKERS = (
    "models(*names): run the test once per model: `name:QUANT`, a GGUF path, `provider/model` or `server/model`",
    "dataset(path, *, input, expected, id, prompt, media, limit, **options): once per row of a file of samples",
    "usecase(path): once per sample of a use case: the folder of the test's file, or that of the path",
    "judge(*names, rubric, vote): who judges in a test that takes `judge`, and by what; several are a panel",
    "gate(*rules, model, profile, by, **margins): `pass_rate >= 0.8`; against the baseline `ttft_s='10%'`",
    "exclusive: the test has this machine to itself; every test that uses `bench` is exclusive by itself",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser.getgroup("llmbench", "evaluate and benchmark language models"), parser.addini)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if _is_dry(config) and hasattr(config.option, "dist"):
        config.option.dist = "no"  # what is not run is not distributed
    config.pluginmanager.register(fixtures, "llmbench-fixtures")
    hooks = Hooks(config)
    config.pluginmanager.register(hooks, "llmbench-hooks")
    config.pluginmanager.register(KeylessIds(hooks.knows_keys), "llmbench-ids")
    config.add_cleanup(garbage.spare_no_longer)  # now: what is added first comes last, after pytest's own collections


class Hooks:
    """The hooks of one process; the recorder behind them is made when the first test or setting of ours is seen."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recorder: Recorder | None = None
        self._identity: dict[str, Any] = getattr(config, "workerinput", {}).get("llmbench") or {
            "run_id": f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
            "controller_pid": os.getpid(),
            "folder": str(Path(tempfile.gettempdir()) / f"llmbench-{os.getuid()}-{os.getpid()}-{os.urandom(8).hex()}"),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        }
        self._is_worker = hasattr(config, "workerinput")
        self._stopped = False
        self._leaves = False
        self._usage = ""
        config.stash[fixtures.SESSION] = lambda: self.recorder().session

    def recorder(self) -> Recorder:
        """This process's recorder, made now if it was not.

        Raises:
            pytest.UsageError: a setting or llmbench.yaml is not valid.
        """
        if self._recorder is None:
            from pytest_llmbench.recorder import Recorder  # noqa: PLC0415 - not in sessions that do not use us
            from pytest_llmbench.safe_reports import SafeReports  # noqa: PLC0415 - as above

            self._recorder = Recorder(self._config, self._identity, is_worker=self._is_worker)
            self._config.pluginmanager.register(SafeReports(self._config, is_ours, self._recorder), "llmbench-safe")
        return self._recorder

    def knows_keys(self, test: pytest.Item) -> bool:
        """Whether it is known what a key is: from the first test of ours on, and in a project that is about us.

        Raises:
            pytest.UsageError: as of `recorder`.
        """
        if self._recorder is None and (self._is_meant or fixtures.asked_of_us(test)):
            self.recorder()
        return self._recorder is not None

    @cached_property
    def _is_meant(self) -> bool:
        return _is_meant(self._config)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        if self._is_worker:
            return
        if self._is_meant:
            self._identity = self.recorder().handed_to_workers()
        else:
            _check_quietly(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["llmbench"] = self._identity

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if not is_own_file(file_path.name):
            return self._matrix(file_path, parent) if may_be_matrix(file_path, parent) else None
        from pytest_llmbench.evaluations.files import collector_of  # noqa: PLC0415 - only where there is such a file

        return collector_of(parent, file_path, self.recorder().session)

    def _matrix(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        from pytest_llmbench.matrix_tests.items import MatrixFile  # noqa: PLC0415 - only where such a file is named

        return MatrixFile.of(parent, file_path, self.recorder().session)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        asked = fixtures.asked_of_us(metafunc.definition)
        if not asked:
            return
        is_named = any(metafunc.definition.get_closest_marker(mark) is not None for mark in ("models", "usecase"))
        if is_named and "model" in asked:
            from pytest_llmbench import parametrizing  # noqa: PLC0415 - only where a test asks

            names = parametrizing.names(self.recorder().session, metafunc.definition)
            metafunc.parametrize("model", names, indirect=True, scope="session", ids=names)
        if "matrix_cell" in asked:
            from pytest_llmbench.matrix_tests.in_test import cells_of  # noqa: PLC0415 - only where a test asks

            cells = cells_of(metafunc.definition.session, self.recorder().session)
            metafunc.parametrize(
                "matrix_cell", cells, indirect=True, ids=[f"{cell.cell.profile}-{cell.title}" for cell in cells]
            )
        if "sample" in asked:
            from pytest_llmbench import parametrizing  # noqa: PLC0415 - only where a test asks

            samples = parametrizing.samples(self.recorder().session, metafunc.definition)
            metafunc.parametrize("sample", samples, indirect=True, ids=[sample.id for sample in samples])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # On a worker, before xdist tells the controller that it is ready.
        chosen = session.config.option
        stops = session.testsfailed and not chosen.continue_on_collection_errors
        begins = self._is_worker and not (stops or chosen.collectonly or chosen.setupplan)
        if begins and (ours := list(filter(is_ours, session.items))):
            self.recorder().announce(ours)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        # Idle sessions stay idle: only workers that have tests of ours make such files.
        place = Path(self._identity["folder"])
        if any(place.parent.glob(f"{place.name}.*.tests")):
            self.recorder().expect()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._recorder is not None and not self._is_worker:
            self._recorder.begins(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        # xdist alone would run the tests that were collected; without it pytest stops here, and so do we.
        items = getattr(session, "items", ())
        chosen = session.config.option
        if chosen.collectonly or chosen.setupplan or not (self._recorder or any(map(is_ours, items))):
            return None
        stops = session.testsfailed and not chosen.continue_on_collection_errors
        if stops and self._is_worker:
            self._leave(session, f"{session.testsfailed} errors during collection")
            return None
        ours = [] if stops else list(filter(is_ours, items))
        if not stops and _is_dry(session.config):
            self.recorder().dry_run(ours)
            return True
        if ours:
            self._begin(session, ours)
        return None

    def _begin(self, session: pytest.Session, ours: Sequence[pytest.Item]) -> None:
        """What keeps all of them from running is told before any does; a worker lets the controller tell it."""
        try:
            self.recorder().check_models(ours)
            self.recorder().open_store()
            self.recorder().ask_ahead(ours)
        except pytest.UsageError as error:
            if not self._is_worker:
                raise
            session.config.workeroutput["llmbench_usage"] = str(error)  # type: ignore[attr-defined]
            self._leave(session, str(error))

    def _leave(self, session: pytest.Session, why: str) -> None:
        """End this worker when it is given its first test, which is not run.

        Not at once: xdist breaks down where a worker is gone before it was given any. Not as an interruption: xdist
        would start another in its place, and call its test crashed.
        """
        session.shouldstop = why
        self._leaves = True
        session.config.pluginmanager.register(_NoTests(), "llmbench-no-tests")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._usage = getattr(node, "workeroutput", {}).get("llmbench_usage", self._usage)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._leaves or not is_ours(item) or self._config.option.setupplan:
            return (yield)
        recorder = self.recorder()
        self._config.stash[fixtures.ITEM] = item
        recorder.begin(item)
        try:
            return (yield)
        finally:
            recorder.end()

    def pytest_runtest_setup(self) -> None:
        # Not tryfirst: pytest looks at skip marks first, and sets fixtures up after us.
        if self._recorder is not None:
            self._recorder.grant()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        __tracebackhide__ = True
        if self._recorder is None:
            return (yield)
        with self._recorder.owned_by(fixturedef, request):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self._recorder is not None:
            self._recorder.attach(item, report, call)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._is_worker:
            return
        told = getattr(report, "llmbench", None)
        if isinstance(told, str):  # a worker's
            report.llmbench = json.loads(told)  # type: ignore[attr-defined]
        if self._recorder or told is not None or str(report.when) == _CRASHED:
            self.recorder().record(report)

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        # "rerun": pytest-rerunfailures will try once more, and counts that itself.
        if str(report.outcome) == "rerun" or not hasattr(report, "llmbench"):
            return None
        outcome = report.llmbench["outcome"]
        return _WRONG_UNDER_GATES if outcome == "wrong" and report.passed else _SHOWN.get(outcome)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # xdist ends -x and --maxfail like an interruption, pytest alone like a failure; they are the latter.
        self._stopped = str(excinfo.value).startswith("stopping after")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._usage:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self._recorder is not None:
            stopped = self._stopped or "stopping after" in str(session.shouldfail)
            session.exitstatus = self._recorder.finish(int(exitstatus), session.testsfailed, stopped=stopped)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._recorder is not None and not self._is_worker:
            self._recorder.summarize(terminalreporter)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if self._recorder is not None:
            self._recorder.close()


class _NoTests:
    """Of a worker that leaves: whatever test it is given is done with."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool:
        return True


def is_ours(item: pytest.Item) -> bool:
    """Whether a test asks for one of our fixtures, or is marked as one of ours."""
    return bool(fixtures.asked_of_us(item)) or any(item.get_closest_marker(mark) for mark in ("exclusive", "gate"))


def _is_dry(config: pytest.Config) -> bool:
    """Whether nothing is to be run; a value that is no truth is told by whoever reads all settings."""
    given = config.getoption(options.BY_NAME["dry_run"].ini)
    return given is not None and given.lower() not in {"0", "false", "no", "off"}


def _check_quietly(config: pytest.Config) -> None:
    """Tell a mistake in the environment or the ini file now, with nothing but the standard library."""
    ini = options.ini_values(config.getini)
    given = any(ini.values()) or any(os.environ.get(option.env) for option in options.OPTIONS)
    if given:
        from pytest_llmbench.errors import ConfigError  # noqa: PLC0415 - only where something is set
        from pytest_llmbench.settings import merge  # noqa: PLC0415 - only where something is set

        try:
            merge({}, os.environ, ini, {}, ini_name=config.inipath.name if config.inipath else "ini file")
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from error


def _is_meant(config: pytest.Config) -> bool:
    """Whether this project or this call says something to us, so that a mistake in it is told before any test runs."""
    return (config.rootpath / "llmbench.yaml").exists() or any(
        config.getoption(option.ini) is not None for option in options.OPTIONS
    )
