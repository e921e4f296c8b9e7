"""The results database as the rest of the package sees it: frozen records in, frozen records out."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pytest_llmbench.records import (
    Cell,
    FailedAttempt,
    GateResult,
    Measurement,
    MonitorSample,
    PastRun,
    Repetition,
    Reply,
    Run,
    Summary,
    TestResult,
)
from pytest_llmbench.store import batches, cells, history, measurements, replies, results, runs, spending, watched
from pytest_llmbench.store.batches import Batch
from pytest_llmbench.store.database import Database
from pytest_llmbench.store.model_health import ModelHealth, of_model
from pytest_llmbench.store.writer import Work, Writer

_One = TypeVar("_One")
_Done = TypeVar("_Done")


class Store:
    """An open results database.

    What a method wrote is committed when it returns (or when the future that it gives is done) and survives `kill -9`
    of anyone. Usable from several threads, and
    by several processes on one file; a writer waits up to 30 s for its turn. Every method raises `StoreError` when
    the file, its folder or the disk is at fault, with what to do next.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer: Writer | None = None
        self._first_order = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database at `path`, creating it and its folder, or migrating an older one.

        Raises:
            StoreError: read-only, damaged, not one of ours, or of a newer format. The file is left as it is.
        """
        return cls(Database(path))

    def close(self) -> None:
        """Write what was ordered, and let go of the file."""
        if self._writer is not None:
            self._writer.close()
        self._database.close()

    def submit(self, work: Work[_One, _Done], one: _One, *, patient: bool = False) -> Future[_Done]:
        """Order something to be written together with all else that is ordered meanwhile; see `Writer.submit`."""
        with self._first_order:
            if self._writer is None:
                self._writer = Writer(self._database)
        return self._writer.submit(work, one, patient=patient)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ensure_run(self, run: Run) -> None:
        """Write the run's header; any process may be first, the others change nothing."""
        with self._database.writing() as connection:
            runs.ensure(connection, run)

    def reopen_run(self, run_id: str) -> Run:
        """Mark a run as going on again.

        Args:
            run_id: as for `load_run`.

        Returns:
            Its header, without its rows.
        """
        with self._database.writing() as connection:
            found = runs.resolve(connection, run_id)
            runs.reopen(connection, found)
            return runs.header(connection, found)

    def finish_run(self, run_id: str, exit_code: int) -> None:
        """Mark the run as ended now, with pytest's exit code."""
        with self._database.writing() as connection:
            runs.finish(connection, run_id, exit_code)

    def save_settings(self, run_id: str, settings: Mapping[str, Any]) -> None:
        """Write what was chosen for a run, builtin types only, in place of what stood there."""
        with self._database.writing() as connection:
            runs.save_settings(connection, run_id, settings)

    def save_environment(self, run_id: str, environment: Mapping[str, Any]) -> None:
        """As `save_settings`, of what is known of a run's surroundings."""
        with self._database.writing() as connection:
            runs.save_environment(connection, run_id, environment)

    def load_run(self, run_id: str) -> Run:
        """A run, whole: results that have an outcome, every reply and measurement, gates.

        Args:
            run_id: an exact id, the beginning of exactly one, or `last` for the newest run.

        Raises:
            UsageError: none or several fit; near ones are named.
        """
        with self._database.reading() as connection:
            found = runs.resolve(connection, run_id)
            return dataclasses.replace(
                runs.header(connection, found),
                results=results.finished(connection, found),
                measurements=measurements.of_run(connection, found),
                replies=replies.of_run(connection, found),
                gates=results.gates_of(connection, found),
                failed_attempts=replies.failed_of_run(connection, found),
                cells=cells.of_run(connection, found),
            )

    def header(self, run_id: str) -> Run:
        """A run without its rows; `run_id` and errors as for `load_run`."""
        with self._database.reading() as connection:
            return runs.header(connection, runs.resolve(connection, run_id))

    def as_ended(self, run: Run) -> Run:
        """A run that was read before its end, with its header and gates as they are now; nothing else is read again."""
        with self._database.reading() as connection:
            return dataclasses.replace(
                runs.header(connection, run.id),
                results=run.results,
                measurements=run.measurements,
                replies=run.replies,
                gates=results.gates_of(connection, run.id),
                failed_attempts=run.failed_attempts,
                cells=run.cells,
            )

    def runs(self) -> list[Run]:
        """The headers of all runs, newest first."""
        with self._database.reading() as connection:
            return runs.headers(connection)

    def remove_run(self, run_id: str) -> None:
        """Delete a run with all that belongs to it, and give its space back; `run_id` and errors as for `load_run`."""
        with self._database.writing() as connection:
            runs.remove(connection, runs.resolve(connection, run_id))
        self._database.give_back_space()

    def start_result(self, run_id: str, nodeid: str, key: str, model: str = "") -> None:
        """Write that a test, of this model, is under way; an earlier outcome under the same key is withdrawn."""
        with self._database.writing() as connection:
            results.start(connection, run_id, nodeid, key, model)

    def order_start(self, run_id: str, nodeid: str, key: str, model: str = "") -> Future[None]:
        """As `start_result`, without waiting."""
        told = results.Told(run_id, TestResult(nodeid, key, outcome="", model=model))
        return self.submit(results.tell_all, told, patient=True)

    def order_result(self, run_id: str, result: TestResult, *, patient: bool = False) -> Future[None]:
        """As `save_result`, without waiting; `patient` as in `Writer.submit`."""
        return self.submit(results.tell_all, results.Told(run_id, result), patient=patient)

    def save_result(self, run_id: str, result: TestResult) -> None:
        """Write how a test ended; the last result under a key stands."""
        with self._database.writing() as connection:
            results.save(connection, run_id, result)

    def unfinished(self, run_id: str) -> list[TestResult]:
        """Tests that were started and have no outcome (`outcome` is empty): whoever ran them died."""
        with self._database.reading() as connection:
            return results.unfinished(connection, run_id)

    def find_result(self, run_id: str, nodeid: str) -> TestResult | None:
        """What is known of a test of the run; its `outcome` is empty where it was not told, or never began."""
        with self._database.reading() as connection:
            return results.find(connection, run_id, nodeid)

    def last_results_of(self, use_case: str, *, before: str) -> list[TestResult]:
        """The results of a use case in the newest run that ended and has some; `before`: a run that does not count."""
        with self._database.reading() as connection:
            return results.last_of_use_case(connection, use_case, before)

    def save_gates(self, run_id: str, gates: Sequence[GateResult]) -> None:
        """Write what the gates decided, in place of what stood there."""
        with self._database.writing() as connection:
            results.save_gates(connection, run_id, gates)

    def save_reply(self, run_id: str, test_key: str, ordinal: int, request: Mapping[str, Any], reply: Reply) -> Reply:
        """Keep a complete reply; idempotent: the first one for (run, test, request hash, ordinal) stays.

        Returns:
            The reply that is kept, with its id.
        """
        with self._database.writing() as connection:
            return replies.save(connection, run_id, test_key, ordinal, request=request, reply=reply)

    def keep_reply(
        self, run_id: str, test_key: str, ordinal: int, request: Mapping[str, Any], reply: Reply
    ) -> Future[Reply]:
        """As `save_reply`, without waiting."""
        return self.submit(replies.save_all, replies.Kept(run_id, test_key, ordinal, request, reply))

    def stored_replies(self, run_id: str) -> dict[replies.Place, Reply]:
        """Every reply of the run whose text was kept, by (test key, request hash, ordinal)."""
        with self._database.reading() as connection:
            return replies.places_of_run(connection, run_id)

    def spent(self, run_id: str) -> spending.Spent:
        """What the run has spent on APIs, and what of its budget is still reserved."""
        with self._database.reading() as connection:
            return spending.of_run(connection, run_id)

    def order_spending(self, run_id: str, entry: spending.Spending) -> Future[None]:
        """Write an entry of the budget's account, without waiting."""
        return self.submit(spending.save, (run_id, entry))

    def close_spending(self, run_id: str, lying: Collection[str]) -> None:
        """Count what a killed session left reserved among the attempts that failed; see `spending.close_left`."""
        with self._database.writing() as connection:
            spending.close_left(connection, run_id, lying)

    def find_reply(self, run_id: str, test_key: str, request_hash: str, ordinal: int) -> Reply | None:
        """The stored reply to a request, or None when it has to be asked."""
        with self._database.reading() as connection:
            return replies.find(connection, run_id, test_key, request_hash, ordinal)

    def models_asked(self, run_id: str, test_key: str) -> list[str]:
        """The models that a test has replies of, by the names that those bear."""
        with self._database.reading() as connection:
            return replies.models_asked(connection, run_id, test_key)

    def batches(self, run_id: str) -> list[Batch]:
        """What the run has, or had, with batch APIs."""
        with self._database.reading() as connection:
            return batches.of_run(connection, run_id)

    def model_health(self, model: str) -> ModelHealth | None:
        """How a model fared in the newest run that asked it; None: nothing is known."""
        with self._database.reading() as connection:
            return of_model(connection, model)

    def recent_replies(self, model: str, limit: int = 200) -> list[Reply]:
        """The last replies of a model, of all runs, the newest first: what was asked, tokens and times."""
        with self._database.reading() as connection:
            return history.recent_replies(connection, model, limit)

    def save_summaries(self, run_id: str, summaries: Sequence[Summary]) -> None:
        """Write the run in a few numbers, in place of what stood there."""
        with self._database.writing() as connection:
            history.save_summaries(connection, run_id, summaries)

    def not_summed(self) -> list[str]:
        """The ids of runs that came to their end and have no summaries yet, the oldest first."""
        with self._database.reading() as connection:
            return history.not_summed(connection)

    def runs_with(self, metric: str) -> list[PastRun]:
        """The summaries of all runs that know a metric, the oldest first."""
        with self._database.reading() as connection:
            return history.with_metric(connection, metric)

    def runs_like(self, summary: Summary, *, until: str, limit: int = 200) -> list[PastRun]:
        """The last runs up to a moment that asked the same of the same model, the oldest first."""
        with self._database.reading() as connection:
            return history.like(connection, summary, until, limit)

    def save_failed_attempt(self, run_id: str, test_key: str, attempt: FailedAttempt) -> None:
        """Keep a request that failed and is asked once more, with what had arrived of its reply."""
        with self._database.writing() as connection:
            replies.save_failed(connection, run_id, test_key, attempt)

    def start_measurement(self, run_id: str, measurement: Measurement) -> None:
        """Write the header of a measurement that begins or goes on; another one with its key in this run stays."""
        with self._database.writing() as connection:
            measurements.start(connection, run_id, measurement)

    def save_repetition(
        self, measurement_id: str, repetition: Repetition, *, reply: tuple[Mapping[str, Any], Reply] | None = None
    ) -> Repetition:
        """Keep one timed request; idempotent: the first with its index stays.

        Args:
            measurement_id: a measurement that was started.
            repetition: what was measured.
            reply: what was asked (builtin types) and answered, where it is kept: both or neither are stored, so that
                no kill leaves a reply whose repetition would be asked again.

        Returns:
            The repetition that is kept, with the id of its reply.
        """
        with self._database.writing() as connection:
            return measurements.save_repetition(connection, measurement_id, repetition, reply)

    def save_samples(self, measurement_id: str, samples: Sequence[MonitorSample]) -> None:
        """Keep what the system monitor read beside a measurement."""
        with self._database.writing() as connection:
            measurements.save_samples(connection, measurement_id, samples)

    def supersede(self, measurement_id: str) -> None:
        """Set aside the repetitions of an interrupted measurement that begins anew, and drop its monitor samples."""
        with self._database.writing() as connection:
            measurements.supersede(connection, measurement_id)

    def set_aside(self, measurement_id: str, indexes: Iterable[int]) -> None:
        """Mark repetitions as superseded: others are taken in their place, under their indexes."""
        with self._database.writing() as connection:
            measurements.set_aside(connection, measurement_id, indexes)

    def finish_measurement(self, measurement: Measurement) -> None:
        """Write what is known at the end (scalars, rating, notes, ...) and mark it complete; repetitions are not
        written again."""
        with self._database.writing() as connection:
            measurements.finish(connection, measurement)

    def find_measurement(self, run_id: str, key: str) -> tuple[Measurement, bool] | None:
        """The run's measurement with this key and its repetitions so far, and whether it is complete."""
        with self._database.reading() as connection:
            return measurements.find(connection, run_id, key)

    def latest(self, run_id: str, key: str) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Metrics of the last repetition and readings of the last sample of a measurement that goes on, by its key."""
        with self._database.reading() as connection:
            return measurements.latest(connection, run_id, key)

    def put_cells(self, run_id: str, several: Sequence[Cell]) -> None:
        """Write cells of the run's matrix, in place of what stood under their keys."""
        with self._database.writing() as connection:
            cells.put(connection, run_id, several)

    def cells(self, run_id: str) -> list[Cell]:
        """The cells of the run's matrix, in the order of its plan."""
        with self._database.reading() as connection:
            return cells.of_run(connection, run_id)

    def reopen_cells(self, run_id: str, kept: Sequence[str]) -> None:
        """Have a run that goes on decide its cells anew; see `cells.reopen`."""
        with self._database.writing() as connection:
            cells.reopen(connection, run_id, kept)

    def servers_measured(
        self, host_fingerprint: str, limit: int = 500
    ) -> list[tuple[dict[str, Any], dict[str, float]]]:
        """Servers and scalars of the last completed measurements of a machine, of all runs, the newest first."""
        with self._database.reading() as connection:
            return measurements.servers_measured(connection, host_fingerprint, limit)

    def newest_run(self) -> str:
        """The id of the run that began last; empty where there is none."""
        with self._database.reading() as connection:
            return watched.newest_run(connection)

    def begin_watching(self, run_id: str) -> watched.Cursor:
        """Where `look` begins.

        Args:
            run_id: the run; empty for all of them.
        """
        with self._database.reading() as connection:
            return watched.beginning(connection, run_id)

    def look(self, cursor: watched.Cursor, most: int = 5_000) -> watched.Look:
        """What came since the look before, and how things stand; at most so many replies at once."""
        with self._database.reading() as connection:
            return watched.look(connection, cursor, most)

    def run_head(self, run_id: str) -> watched.RunHead | None:
        """When a run began and ended, and what it came to; None where there is none of this id."""
        with self._database.reading() as connection:
            return watched.run_head(connection, run_id)

    def run_id(self, wanted: str) -> str:
        """The id of the run a user means.

        Args:
            wanted: as for `load_run`.

        Raises:
            UsageError: none or several fit.
        """
        with self._database.reading() as connection:
            return runs.resolve(connection, wanted)
