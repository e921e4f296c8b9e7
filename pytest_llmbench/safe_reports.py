"""pytest's reports made fit to show: pytest prints what a model said, in assertion messages, diffs, captured output and
the summary, as it is.

It happens on the report itself, in `pytest_runtest_makereport`, because everything reads that: the terminal, JUnit
files, xdist, other plugins. Tests that use us are made safe whole; of all other tests only registered keys are taken
out, so that the colours they print stay theirs.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import re
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_llmbench.display import display_safe, terminal_safe
from pytest_llmbench.recorder import Recorder
from pytest_llmbench.redaction import redact_exact

Clean = Callable[[str], str]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class SafeReports:
    """Hooks of a session that uses us, registered with its recorder.

    Args:
        config: pytest's, whose log file and live log are made safe, too.
        is_ours: whether a test uses us.
        recorder: knows whether such a test runs now.
    """

    def __init__(self, config: pytest.Config, is_ours: Callable[[pytest.Item], bool], recorder: Recorder) -> None:
        self._is_ours = is_ours
        self._recorder = recorder
        for handler in _log_handlers(config):
            if handler.formatter is not None:
                handler.setFormatter(_SafeFormatter(handler.formatter, self._clean_now))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        make_safe(report, terminal_safe if self._is_ours(item) else redact_exact)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self, report: Any
    ) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        # xdist writes each name and value in Python: as one text ours travels in a fraction of the time.
        data = yield
        if data is not None and self._recorder.is_worker and hasattr(report, "llmbench"):
            data["llmbench"] = json.dumps(report.llmbench)
        return data

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # pytest makes the report of a subtest from a test's: its name and output come after `makereport`.
        if hasattr(report, "context"):
            make_safe(report, self._clean_now)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        make_safe(report, terminal_safe)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_assertrepr_compare(
        self, config: pytest.Config, op: str, left: object, right: object
    ) -> Generator[None, list[list[str]], list[list[str]]]:
        explained = yield
        if not self._runs_ours():
            return explained
        if safe := safe_operands(left, right):
            explained = config.hook.pytest_assertrepr_compare(config=config, op=op, left=safe[0], right=safe[1])
        return [[_COLOUR.sub("", line) for line in lines] for lines in explained]

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        text = str(warning_message.message)
        if self._runs_ours() and (safe := terminal_safe(text)) != text:
            warning_message.message = safe

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: object) -> None:
        _cleaned(excrepr, terminal_safe)

    def _clean_now(self, text: str) -> str:
        return terminal_safe(text) if self._runs_ours() else redact_exact(text)

    def _runs_ours(self) -> bool:
        return self._recorder.session.context is not None


class _SafeFormatter(logging.Formatter):
    """Another formatter's lines of clean records; the records themselves are left to whoever else reads them."""

    def __init__(self, formatter: logging.Formatter, clean: Clean) -> None:
        super().__init__()
        self._formatter = formatter
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)
        shown.name, shown.msg, shown.args = self._clean(record.name), self._clean(record.getMessage()), None
        if record.exc_info:
            shown.exc_text = self._clean(self._formatter.formatException(record.exc_info))
        return self._formatter.format(shown)


def _log_handlers(config: pytest.Config) -> list[logging.Handler]:
    """Those that write at once, past every report."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    found = [getattr(plugin, name, None) for name in ("log_cli_handler", "log_file_handler")]
    return [handler for handler in found if isinstance(handler, logging.Handler)]


def make_safe(report: pytest.TestReport | pytest.CollectReport, clean: Clean) -> None:
    """Clean what pytest prints of a report, in place: the failure, captured output, reasons, properties."""
    report.longrepr = _cleaned(report.longrepr, clean)
    report.sections = _cleaned(report.sections, clean)
    for name in ("wasxfail", "user_properties"):
        if hasattr(report, name):
            setattr(report, name, _cleaned(getattr(report, name), clean))
    context = getattr(report, "context", None)  # of a subtest; frozen, and making another one quotes its values again
    if dataclasses.is_dataclass(context):
        for field in dataclasses.fields(context):
            object.__setattr__(context, field.name, _cleaned(getattr(context, field.name), clean))


def safe_operands(left: object, right: object) -> tuple[object, object] | None:
    """The two sides of a comparison, made safe before pytest writes their difference; None where they are already.

    A difference is coloured by pytest and by plugins: afterwards nobody could tell their colours from a model's.
    """
    safe_left = display_safe(left) if isinstance(left, str) else left
    safe_right = display_safe(right) if isinstance(right, str) else right
    if safe_left is left and safe_right is right:
        return None
    alike = isinstance(safe_left, str) and isinstance(safe_right, str) and safe_left == safe_right
    return None if alike else (safe_left, safe_right)


def _cleaned(value: Any, clean: Clean) -> Any:
    """Every text within pytest's representations, which are changed in place; other objects stay as they are."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each, clean) for each in value]
    if isinstance(value, tuple):
        return tuple(_cleaned(each, clean) for each in value)
    if isinstance(value, dict):
        return {key: _cleaned(each, clean) for key, each in value.items()}
    if hasattr(value, "toterminal"):
        for name, part in list(vars(value).items()):
            setattr(value, name, _cleaned(part, clean))
    return value
