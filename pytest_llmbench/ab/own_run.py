"""A measurement that no pytest runs: a session of its own, stored as a run, with its reports."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_llmbench import clock, http, reports
from pytest_llmbench.config import Resolved
from pytest_llmbench.contexts import Identity, TestContext
from pytest_llmbench.errors import ExitCode, InfraError, LlmbenchError
from pytest_llmbench.records import Outcome, TestResult
from pytest_llmbench.results.outcomes import classify
from pytest_llmbench.session import DATABASE, Session


@contextmanager
def own_session(
    resolved: Resolved,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    database: str = DATABASE,
    process_name: str = "",
    going_on: str = "",
) -> Iterator[Session]:
    """This process's session, closed with all its servers gone.

    Args:
        resolved: settings and configuration; `resume` names a run that is gone on with.
        command: what was typed.
        say: tells the user something now.
        database: the file name of what the run is kept in.
        process_name: what logs call this process; empty: as usual.
        going_on: the id of a run in `database` that is gone on with; empty: as `resume` says.

    Raises:
        UsageError: the run that is to go on cannot.
    """
    run_id = going_on or f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = Path(tempfile.gettempdir()) / f"llmbench-{os.getuid()}-{os.getpid()}-{secrets.token_hex(8)}"
    identity = Identity(run_id, os.getpid(), str(place), list(command), resuming=bool(going_on))
    session = Session(resolved, identity, say, database=database, process_name=process_name)
    if resolved.settings.resume and not going_on:
        session.choose_run()
    try:
        with _seen_as_a_test(session):
            yield session
    finally:
        session.end()
        close(session)
        http.close()


def close(session: Session) -> None:
    """Stop its servers, and free what it holds."""
    session.stop_servers()
    session.close()


@contextmanager
def _seen_as_a_test(session: Session) -> Iterator[None]:
    """Tell whoever looks on how it ended, as of a test: the calls of the session name it as theirs."""
    begun_s = clock.monotonic()
    try:
        yield
    except BaseException as error:
        _tell(session, error, clock.monotonic() - begun_s)
        raise
    _tell(session, None, clock.monotonic() - begun_s)


def _tell(session: Session, error: BaseException | None, duration_s: float) -> None:
    context, observer = session.context, session.__dict__.get("observer")
    if context is None or observer is None:  # nothing was asked
        return
    outcome, category = classify(error, skipped=False)
    named = context.nodeid, context.key, str(outcome)
    observer.tests(TestResult(*named, category=category, model=context.model, duration_s=duration_s))


def keep_failure(session: Session, context: TestContext, error: InfraError) -> None:
    """The run ends with an infra error; what was measured stays, for a resume."""
    broken = TestResult(
        context.nodeid, context.key, str(Outcome.INFRA_ERROR), message=str(error), category=str(error.category)
    )
    session.store.save_result(session.run_id, broken)
    session.store.finish_run(session.run_id, ExitCode.INFRA_ERRORS)


def write_reports(session: Session) -> list[Path]:
    """Those that are asked for; what cannot be written is told, and the others are."""
    run = session.store.load_run(session.run_id).current()
    folder, written = session.folder / "reports" / run.id, []
    for fmt in session.settings.report:
        if fmt == "none":
            continue
        try:
            written.append(reports.write(run, fmt, folder / reports.file_name(fmt)))
        except LlmbenchError as error:
            session.say(str(error))
    return written
