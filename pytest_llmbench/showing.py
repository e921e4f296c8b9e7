"""Shows how far a session is, on the process that writes to the terminal: how asking goes, or how far a matrix is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.fixtures import asked_of_us

if TYPE_CHECKING:
    from pytest_llmbench.asker.question import Status
    from pytest_llmbench.observe.alert_watch import AlertWatch
    from pytest_llmbench.reports.live import Shown
    from pytest_llmbench.reports.live_log import LiveLog
    from pytest_llmbench.session import Session


class Showing:
    """What is shown, from its first use to its end.

    Args:
        config: pytest's.
        session: gives this process's.
    """

    def __init__(self, config: pytest.Config, session: Callable[[], Session]) -> None:
        self._config = config
        self._session = session
        self._is_begun = False
        self._shown: Shown | None = None
        self._log: LiveLog | None = None
        self._alerts: AlertWatch | None = None
        self._untold: list[str] = []
        """What was to be told where nothing is shown."""

    @property
    def reporter(self) -> Any:
        """pytest's terminal reporter; None where there is none."""
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @property
    def capture(self) -> Any:
        """pytest's capture manager; None where there is none."""
        return self._config.pluginmanager.get_plugin("capturemanager")

    def begin(self, items: Iterable[pytest.Item] = ()) -> None:
        """Begin to show, once.

        Args:
            items: the tests, where this process runs them.
        """
        if self._is_begun:
            return
        self._is_begun = True
        session = self._session()
        how = session.settings.progress
        if self.is_of_matrix(items):
            from pytest_llmbench.reports.live_matrix import matrix_display  # noqa: PLC0415 - only where one is measured

            resuming = session.identity.resuming
            self._shown = matrix_display(
                self.reporter, self.capture, session.store, session.run_id, how, resuming=resuming
            )
            return
        from pytest_llmbench.reports import live  # noqa: PLC0415 - only where somebody looks

        self._shown = live.display(self.reporter, self.capture, self._status(), how)

    def watch_alerts(self) -> None:
        """Begin to tell of alerts, where llmbench.yaml has any."""
        session = self._session()
        if self._alerts is not None or not session.config.alerts.is_given:
            return
        from pytest_llmbench.observe.alert_watch import AlertWatch  # noqa: PLC0415 - only where there are rules

        observer = session.observer
        note = observer.notes if observer is not None else lambda _: None
        self._alerts = AlertWatch(session.store, session.run_id, session.config.alerts, self._tell, note)

    def _tell(self, text: str) -> None:
        """In the thread that looks for alerts."""
        if (shown := self._shown) is not None:
            shown.add(f"llmbench: {terminal_safe(text, keep='')}")
        else:
            self._untold.append(text)

    def begin_log(self) -> None:
        """Begin to show calls as they end, once, where that is wanted; see that alerts can be told while tests run."""
        session = self._session()
        which = session.settings.log_console
        is_wanted = which != "off" and self._log is None
        if not is_wanted and self._alerts is None:
            return
        from pytest_llmbench.reports import live  # noqa: PLC0415 - only where somebody looks

        if self._shown is None:
            made = live.screen_of(self.reporter, self.capture, "lines")
            self._shown = made[0] if made else None
        if is_wanted and self._shown is not None:
            from pytest_llmbench.reports import live_log  # noqa: PLC0415 - as above

            folder, resuming = session.folder / "logs" / session.run_id, session.identity.resuming
            self._log = live_log.begin(self.reporter, self._shown, folder, which, resuming=resuming)

    def is_of_matrix(self, items: Iterable[pytest.Item] = ()) -> bool:
        """Whether cells of a matrix are measured: its file is named to pytest, or a test takes `matrix_cell`."""
        named = (PurePath(word.partition("::")[0]).suffix for word in self._config.args)
        return bool({".yaml", ".yml"} & set(named)) or any("matrix_cell" in asked_of_us(item) for item in items)

    def end(self) -> Sequence[str]:
        """Erase what is shown; `end_log` comes after it.

        Returns:
            What could not be told while tests ran, because nothing was shown.
        """
        alerts, self._alerts = self._alerts, None
        if alerts is not None:
            alerts.end()
        if self._log is not None:
            self._log.end()
        shown, self._shown = self._shown, None
        if shown is not None:
            from pytest_llmbench.reports import live  # noqa: PLC0415 - only where somebody looks

            live.end(self.reporter, shown)
        untold, self._untold = self._untold, []
        return untold

    def end_log(self) -> None:
        """Show the calls that ended since `end`, when no more can come."""
        log, self._log = self._log, None
        if log is None:
            return
        with self.capture.global_and_fixture_disabled() if self.capture else contextlib.nullcontext():
            for text in log.rest():
                self.begin_line()
                self.reporter.write_line(text)

    def begin_line(self) -> None:
        """Have pytest's reporter begin a line of its own: it does not count what it writes at the end of one."""
        self.reporter.ensure_newline()
        if self.reporter._tw.width_of_current_line:  # noqa: SLF001
            self.reporter.write_line("")

    def _status(self) -> Callable[[], Status | None]:
        return self._session().asking_status(elsewhere=self._config.pluginmanager.hasplugin("dsession"))
