"""Tells of alerts while a run goes on: a thread that looks at what was stored, every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_llmbench import clock
from pytest_llmbench.config.alert_schema import AlertsDef
from pytest_llmbench.errors import StoreError
from pytest_llmbench.observe.alerts import Alarm, Alert
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.observe.tally import Tally
from pytest_llmbench.observe.watching import follow
from pytest_llmbench.store import Store
from pytest_llmbench.store.watched import Cursor

LOOK_S = 5.0


class AlertWatch:
    """Looks on from its making to `end`.

    Args:
        store: of the run.
        run_id: the run.
        alerts: the rules.
        tell: told of what is raised and of what is over, in a sentence.
        note: told the same for the log.
    """

    def __init__(
        self, store: Store, run_id: str, alerts: AlertsDef, tell: Callable[[str], None], note: Callable[[Note], None]
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._alarm = Alarm(alerts)
        self._tally = Tally(remembers=True)
        self._cursor: Cursor | None = None
        self._firing: dict[tuple[str, str], Alert] = {}
        self._tell = tell
        self._note = note
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="llmbench-alerts", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look once more, and stop."""
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        goes_on = True
        while goes_on:
            goes_on = not self._over.wait(LOOK_S)
            try:
                self._look()
            except StoreError:  # whoever stores replies tells it
                return
            except Exception as error:  # noqa: BLE001 - pytest would blame the test that runs just then
                self._tell(f"alerts are not looked for any more: {type(error).__name__}: {error}")
                return

    def _look(self) -> None:
        now_s = clock.now().timestamp()
        cursor = self._cursor or self._store.begin_watching(self._run_id)
        follow(self._store, cursor, self._tally, now_s, self._keep)
        now = {(alert.name, alert.model): alert for alert in self._alarm.judged(self._tally.recent, now_s)}
        before, self._firing = self._firing, {place: alert for place, alert in now.items() if alert.firing}
        for place in self._firing.keys() - before.keys():
            self._raise(Kind.ALERT_RAISED, "alert", now[place])
        for place in before.keys() - self._firing.keys():
            self._raise(Kind.ALERT_CLEARED, "alert over", now.get(place, before[place]))

    def _keep(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def _raise(self, kind: Kind, what: str, alert: Alert) -> None:
        details = {"alert": alert.name, "value": alert.value, "limit": alert.limit}
        self._note(Note(kind, f"{alert.name}: {alert.sentence}", alert.model, details))
        self._tell(f"{what} ({alert.name}): {alert.sentence}")
