"""What threads of one process share: made once, and let go by one of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from noted import Noted
from served_sessions import session_in

from pytest_llmbench import clock
from pytest_llmbench.cache import opening
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.observe.observer import Observers

THREADS = 4


@pytest.mark.parametrize("name", ["cache", "observer", "store", "asker"])
def test_what_threads_of_a_session_share_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Else each would have a cache, a log, a database and limits of its own, and all but one would never be closed."""
    made = opening.opened

    def slowly(*told: Any) -> Any:
        clock.sleep(0.05)  # so that the others come meanwhile
        return made(*told)

    monkeypatch.setattr(opening, "opened", slowly)
    together = threading.Barrier(THREADS)
    with session_in(tmp_path, cache="on") as session:

        def wanted(_: int) -> Any:
            together.wait()
            return getattr(session, name)

        with ThreadPoolExecutor(THREADS) as pool:
            first, *others = pool.map(wanted, range(THREADS))
        assert first is not None
        assert all(other is first for other in others)


class _Slow(Noted):
    """Is compared with another one by two threads at the same time, if they let it be."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def __eq__(self, other: object) -> bool:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.3)
        return self is other

    __hash__ = object.__hash__


class _Broken(Noted):
    def notes(self, _: Note) -> None:
        raise RuntimeError("no space left")


def test_an_observer_that_fails_in_two_threads_at_once_breaks_no_call_and_is_told_once() -> None:
    """Both want it gone, and the second finds that it is."""
    told, slow = list[str](), _Slow()
    observers = Observers([slow, _Broken()], told.append)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(observers.notes, Note(Kind.RATE_CUT, "less at once")) for _ in range(2)]
        assert [each.exception() for each in both] == [None, None]
    assert told == ["_Broken failed and looks on no more: RuntimeError: no space left"]
    assert slow.count(Kind.OBSERVER_FAILED) == 1
