"""A pytest session's share of one process, without pytest: settings, store, supervisor, and a test that asks."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_llmbench import config
from pytest_llmbench.contexts import Identity, TestContext
from pytest_llmbench.records import Run
from pytest_llmbench.session import Session

KEY = "test_it.py::test_it"


@contextmanager
def session_in(folder: Path, *, resume: str = "", beside: Session | None = None, **options: str) -> Iterator[Session]:
    """A session in the middle of a test that has the machine to itself.

    Args:
        folder: the project.
        resume: the id of the run to go on with.
        beside: a session of the same run, as another worker of it has one.
        **options: as on the command line.
    """
    resolved = config.resolve({"context": "512", **options}, os.environ, {}, folder)
    run_id = resume or f"20261121-000000-{secrets.token_hex(3)}"
    place = Path(tempfile.gettempdir()) / f"llmbench-{os.getuid()}-{os.getpid()}-{secrets.token_hex(8)}"
    identity = Identity(run_id, os.getpid(), folder=str(place), resuming=bool(resume))
    session = Session(resolved, beside.identity if beside else identity, print)
    session.context = TestContext(KEY, f"{KEY}[{secrets.token_hex(3)}]" if beside else KEY, exclusive=True)
    try:
        yield session
    finally:
        session.end()
        if beside is None:
            session.stop_servers()
        session.close()


def stored(session: Session) -> Run:
    return session.store.load_run(session.run_id)
