"""Looks at the results database again and again, and tells what there is to see: figures, alerts, health."""

from __future__ import annotations

import contextlib
import platform
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pytest_llmbench import __version__, clock
from pytest_llmbench.config.alert_schema import AlertsDef
from pytest_llmbench.errors import StoreError
from pytest_llmbench.observe import families
from pytest_llmbench.observe.alerts import Alarm, Alert
from pytest_llmbench.observe.exposition import Figures, Labels, Number
from pytest_llmbench.observe.families import Family
from pytest_llmbench.observe.health import STATES, Health, health
from pytest_llmbench.observe.lanes import figures_of_lanes
from pytest_llmbench.observe.tally import Tally, seconds
from pytest_llmbench.store import Store
from pytest_llmbench.store.watched import Cursor, Standing

LAST = "last"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at."""

    database: Path
    run: str = LAST
    """A run's id or the beginning of one; `last`, whichever that is at each look; `all`."""
    alerts: AlertsDef = field(default_factory=AlertsDef)


@dataclass(frozen=True, slots=True)
class View:
    """What one look shows."""

    figures: Figures
    health: Health
    alerts: Sequence[Alert] = ()


class Onlooker:
    """Reads only what is new at each look; may be used by several threads.

    It keeps the database open: opening one that is being written to looks through all of it.

    Args:
        watched: what is looked at.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._turn = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._store: Store | None = None
        self._cursor: Cursor | None = None
        self._runs: set[str] = set()
        """What was counted already is of these."""
        self._tally = self._blank()
        self._alarm = Alarm(watched.alerts)
        self._chosen = ""
        """The id of the run that was named, once it was found."""

    def look(self) -> View:
        """How things are now.

        Raises:
            UsageError: the run that was named is not there.
        """
        with self._turn:
            now_s = clock.now().timestamp()
            try:
                standing = self._read(now_s)
            except (StoreError, FileNotFoundError) as error:
                self._let_go()
                return _broken(Health("failing", (f"the results database cannot be read: {error}",)))
            if standing is None:
                return _broken(health(Standing(), (), now_s, None))
            alerts = self._alarm.judged(self._tally.recent, now_s)
            found = health(standing, alerts, now_s, self._tally.last_at_s)
            return View(self._figures(standing, alerts, found, now_s), found, alerts)

    def _read(self, now_s: float) -> Standing | None:
        """Take in what is new; None: nothing was ever stored."""
        path = self._watched.database
        if not path.exists():
            self._let_go()
            return None
        about = path.stat()
        if self._file != (about.st_dev, about.st_ino):  # another file took its place
            self._let_go()
            self._file, self._cursor = (about.st_dev, about.st_ino), None
        if self._store is None:
            self._store = Store.open(path)
        standing = self._follow(self._store, now_s)
        runs = {run.id for run in standing.runs}
        if self._runs - runs:  # some were removed: what was counted of them is taken back
            self._cursor = None
            standing = self._follow(self._store, now_s)
        self._runs = runs
        return standing

    def _follow(self, store: Store, now_s: float) -> Standing:
        run_id = self._run_id(store)
        if self._cursor is None or self._cursor.run_id != run_id:
            self._cursor, self._tally = store.begin_watching(run_id), self._blank()
            self._runs = set()
        return follow(store, self._cursor, self._tally, now_s, self._keep)

    def close(self) -> None:
        """Let go of the database."""
        with self._turn:
            self._let_go()

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(StoreError):  # it is gone, or damaged: that is told at the next look
                store.close()

    def _blank(self) -> Tally:
        return Tally(remembers=self._watched.alerts.is_given)

    def _keep(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def _run_id(self, store: Store) -> str:
        if self._watched.run == ALL:
            return ""
        if self._watched.run == LAST:
            return store.newest_run()
        self._chosen = self._chosen or store.run_id(self._watched.run)
        return self._chosen

    def _figures(self, standing: Standing, alerts: Sequence[Alert], found: Health, now_s: float) -> Figures:
        numbers: dict[Family, Mapping[Labels, Number]] = {
            families.CALLS: {},
            **self._tally.numbers,
            **_of_runs(standing),
        }
        numbers |= figures_of_lanes(standing, self._tally.label, now_s)
        numbers |= self._of_tests(standing)
        if (cap_usd := _amount(standing.cap_usd)) is not None and self._watched.run != ALL:
            numbers |= self._of_budget(standing, cap_usd)
        if standing.is_caching:
            numbers[families.CALLS] = _with_none_cached(numbers[families.CALLS])
        numbers[families.ALERT] = {(alert.name, alert.model): int(alert.firing) for alert in alerts}
        return Figures({**numbers, **_of_health(found)}, self._tally.distributions)

    def _of_tests(self, standing: Standing) -> dict[Family, Mapping[Labels, Number]]:
        tests: defaultdict[Labels, int] = defaultdict(int)
        for (model, outcome), count in standing.tests.items():
            tests[self._tally.label(model), outcome or "unfinished"] += count
        return {families.TESTS: tests, families.GATES: {(verdict,): count for verdict, count in standing.gates.items()}}

    def _of_budget(self, standing: Standing, cap_usd: Decimal) -> dict[Family, Mapping[Labels, Number]]:
        """As the budget itself counts: of each model the larger of what was stored and what was settled."""
        settled: defaultdict[str, float] = defaultdict(float)
        for model, usd in standing.settled_usd.items():
            settled[self._tally.label(model)] += usd
        spent = self._tally.spent_usd
        gone = sum(max(spent.get(model, 0.0), settled.get(model, 0.0)) for model in {*spent, *settled})
        left = float(cap_usd) - gone - standing.reserved_usd
        return {families.BUDGET_CAP: {(): float(cap_usd)}, families.BUDGET_LEFT: {(): round(left, 9)}}


def follow(store: Store, cursor: Cursor, tally: Tally, now_s: float, keep: Callable[[Cursor], None]) -> Standing:
    """Take in all that came since, some thousands at a time.

    Args:
        store: the database.
        cursor: where the last reading ended.
        tally: counts.
        now_s: since 1970.
        keep: told how far it was read.

    Returns:
        How things stand.
    """
    while True:
        look = store.look(cursor)
        tally.take(look.answers, look.failures)
        tally.forget(now_s)
        cursor = look.cursor
        keep(cursor)
        if look.standing is not None:
            return look.standing


def _of_runs(standing: Standing) -> dict[Family, Mapping[Labels, Number]]:
    ended = sum(run.finished_at is not None for run in standing.runs)
    numbers: dict[Family, Mapping[Labels, Number]] = {
        families.RUNS: {("finished",): ended, ("unfinished",): len(standing.runs) - ended}
    }
    if standing.runs:
        newest = standing.runs[0]
        numbers[families.RUN_INFO] = {(newest.id,): 1}
        numbers[families.RUN_STARTED] = {(): seconds(newest.started_at)}
        if newest.finished_at is not None:
            numbers[families.RUN_FINISHED] = {(): seconds(newest.finished_at)}
        if newest.exit_code is not None:
            numbers[families.RUN_EXIT_CODE] = {(): newest.exit_code}
    return numbers


def _of_health(found: Health) -> dict[Family, Mapping[Labels, Number]]:
    return {
        families.HEALTH: {(state,): int(state == found.state) for state in STATES},
        families.BUILD: {(__version__, platform.python_version()): 1},
    }


def _amount(told: str) -> Decimal | None:
    """A cap as it was stored; None where there is none, or where that is no amount."""
    try:
        return Decimal(told) if told else None
    except InvalidOperation:
        return None


def _with_none_cached(calls: Mapping[Labels, Number]) -> dict[Labels, Number]:
    """Calls with a 0 for who might have been answered from the cache and was not: else a share of it has no value."""
    return {(model, role, "cached", ""): 0 for model, role, *_ in calls} | dict(calls)


def _broken(found: Health) -> View:
    return View(Figures(_of_health(found), {}), found)
