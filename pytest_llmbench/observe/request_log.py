"""The request log: a line of JSON for every call and every note, in files of this process.

A thread writes: whoever asks is never held up by a disk. What is written is without keys; what a provider said, and
contents, without whatever looks like one, too.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pytest_llmbench import __version__, clock
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Kind, Level, Note, Outcome
from pytest_llmbench.observe.log_fields import BEGUN, CALL, CONTENT, ENDED, LOG, NOTE, NOTED, VERSION, WAITING, Reader
from pytest_llmbench.observe.log_files import LogFiles
from pytest_llmbench.observe.log_texts import cleaned, with_safe_content, with_safe_words
from pytest_llmbench.records import TestResult
from pytest_llmbench.redaction import redact_exact

LONG_S = 10.0
"""A call that is under way for so long is told before it ends."""

_LOOK_S = 5.0
"""Between two looks for such calls, where none is due sooner; shorter than `LONG_S`, so that none is seen too late."""
_LOOKS = 20
"""Looks within `LONG_S` at most, however many calls are due one after another."""
_FLUSH_S = 5.0
"""How long is waited for a disk at most, where all is to be written."""
_GATHER_S = 0.02
"""How long the first line waits for company: waking up and writing cost more than a line."""
_AT_ONCE = 64
_NOTHING: Mapping[str, str] = {}
_BAD = frozenset({Outcome.FAILED, Outcome.CANCELLED})

_begun, _ended, _content, _noted = Reader(BEGUN), Reader(ENDED), Reader(CONTENT), Reader(NOTED)

_Told = CallEnded | Note
_Queued = _Told | threading.Event | None


def opened_log(resolved: Resolved, run_id: str, process: str, tell: Callable[[str], None]) -> RequestLog:
    """The log of one process of a run; its file is made with the first line.

    Args:
        resolved: settings and configuration; `request_log` is not `off`.
        run_id: the run.
        process: which of its processes this is.
        tell: told in a sentence what cannot be written.

    Raises:
        UsageError: contents are to be logged in a run that keeps none.
    """
    settings = resolved.settings
    content, errors_only = settings.request_log == "content", settings.request_log == "errors"
    if content and not settings.keep_prompts:
        raise UsageError(
            "request_log=content logs prompts and answers, and keep_prompts=false says that none are kept",
            hint="choose one of them: request_log=calls logs all but contents",
        )
    folder = resolved.results_dir / "logs" / run_id
    return RequestLog(folder, run_id, process, tell, content=content, errors_only=errors_only)


class RequestLog:
    """An observer that writes lines.

    Args:
        folder: where to.
        run_id: the run.
        process: which of its processes this is.
        tell: told in a sentence, once, what cannot be written.
        content: whether prompts and answers are written.
        errors_only: whether calls that were answered are left out, but for those that were told to take long.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        process: str,
        tell: Callable[[str], None],
        *,
        content: bool = False,
        errors_only: bool = False,
    ) -> None:
        self._common = {"run": run_id, "process": process}
        self._tell = tell
        self._keeps_content = content
        self._errors_only = errors_only
        self._queue: SimpleQueue[_Queued] = SimpleQueue()
        self._open: dict[str, tuple[CallBegun, float]] = {}
        """What is under way, and since when."""
        self._long: set[str] = set()
        """The calls that were told to take long, and whose end is not written yet."""
        self._look_at = clock.monotonic() + _LOOK_S
        """When such calls are looked for next."""
        self._lost = 0
        self._files = LogFiles(folder, process, self._head)
        self._thread = threading.Thread(target=self._serve, name="llmbench-log", daemon=True)
        self._thread.start()

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        self._open[call.call_id] = call, clock.monotonic()
        return _NOTHING

    def ends(self, ended: CallEnded) -> None:
        _, begun_s = self._open.pop(ended.call.call_id, (None, math.inf))
        # Only then is the clock read: what was told to take long has taken so long by now.
        if self._is_wanted(ended) or clock.monotonic() - begun_s >= LONG_S:
            self._queue.put(ended)

    def notes(self, note: Note) -> None:
        self._queue.put(note)

    def tests(self, result: TestResult) -> None:
        """Not in this log: the results database has them."""

    def flush(self) -> None:
        written = threading.Event()
        self._queue.put(written)
        if self._thread.is_alive():
            written.wait(_FLUSH_S)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        taken: list[_Queued] = []
        while None not in taken:
            taken = self._taken()
            told = [each for each in taken if isinstance(each, CallEnded | Note)]
            if lines := [*map(self._line_of, filter(self._is_written, told)), *self._long_lines()]:
                self._write(lines)
            for each in taken:
                if isinstance(each, threading.Event):
                    each.set()
        self._files.close()

    def _is_wanted(self, ended: CallEnded) -> bool:
        return not self._errors_only or ended.outcome in _BAD

    def _is_written(self, told: _Told) -> bool:
        if isinstance(told, Note):
            return True
        was_long = told.call.call_id in self._long
        self._long.discard(told.call.call_id)
        return was_long or self._is_wanted(told)

    def _taken(self) -> list[_Queued]:
        """What is there by now; None comes last."""
        try:
            taken = [self._queue.get(timeout=max(0.0, self._look_at - clock.monotonic()))]
        except Empty:
            return []
        if isinstance(taken[0], CallEnded | Note) and self._queue.qsize() < _AT_ONCE:
            clock.sleep(_GATHER_S)
        while len(taken) < _AT_ONCE and taken[-1] is not None:
            try:
                taken.append(self._queue.get_nowait())
            except Empty:
                break
        return taken

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            self._files.write([*self._told_lost(), *lines])
            self._lost = 0
        except OSError as error:
            if not self._lost:
                why = error.strerror or type(error).__name__
                self._tell(f"the request log cannot be written ({why}): calls go on, and lines of it are lost")
            self._lost += len(lines)

    def _head(self) -> bytes:
        head = {"generator": f"pytest-llmbench {__version__}", "pid": os.getpid(), "content": self._keeps_content}
        return self._line(LOG, clock.now().isoformat(), Level.INFO, head)

    def _told_lost(self) -> list[bytes]:
        """A line on those that could not be written before, where there are any."""
        if not self._lost:
            return []
        note = Note(Kind.LOG_LOST, f"{self._lost} lines of this log could not be written", "", {"lines": self._lost})
        return [self._line_of(note)]

    def _line_of(self, told: _Told) -> bytes:
        if isinstance(told, Note):
            return self._line(NOTE, told.at, told.kind.level, with_safe_words(_noted.read(told)))
        fields = _begun.read(told.call) | with_safe_words(_ended.read(told))
        if self._keeps_content:
            fields |= with_safe_content(_content.read(told))
        return self._line(CALL, told.ended_at, told.level, fields)

    def _long_lines(self) -> list[bytes]:
        """Of calls that are long under way, once for each."""
        now = clock.monotonic()
        if now < self._look_at:
            return []
        at, due_at, lines = clock.now().isoformat(), now + _LOOK_S, []
        for call, begun_s in list(self._open.values()):
            if call.call_id in self._long:
                continue
            if now - begun_s >= LONG_S:
                self._long.add(call.call_id)
                waited = {"waited_s": round(now - begun_s, 1)}
                lines.append(self._line(WAITING, at, Level.INFO, _begun.read(call) | waited))
            else:
                due_at = min(due_at, begun_s + LONG_S)
        self._look_at = max(due_at, now + LONG_S / _LOOKS)
        return lines

    def _line(self, event: str, at: str, level: Level, fields: Mapping[str, Any]) -> bytes:
        line = {"v": VERSION, "event": event, "at": at, "level": level, **self._common, **fields}
        text = json.dumps(line, separators=(",", ":"), default=str)
        if redact_exact(text) != text:
            text = json.dumps(cleaned(line, redact_exact), separators=(",", ":"), default=str)
        return text.encode() + b"\n"
