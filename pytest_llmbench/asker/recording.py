"""Recording a cassette: replies are added to its file as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench import __version__
from pytest_llmbench.asker.cassette_file import (
    BROKEN_OFF,
    FORMAT,
    FORMAT_VERSION,
    check_header,
    deciding_of,
    key_of,
    prompt_of,
)
from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import Category, InfraError, UsageError
from pytest_llmbench.records import Reply
from pytest_llmbench.redaction import redact

_LONGEST = 2_000
"""Characters of one text of a request that are written, for readers only; a picture has many more."""
_TIMES = ("connect_s", "written_s", "headers_s", "ttft_s", "ttft_answer_s", "e2e_s", "last_token_s")


class Recording:
    """Keeps replies in a cassette as they come, each with one write at the file's end. Usable by several processes.

    Args:
        path: a new file, or a cassette, which is added to.
        keep_prompts: whether what was asked is written too, for readers.

    Raises:
        UsageError: it cannot be written, or is a file of another kind.
    """

    def __init__(self, path: Path, *, keep_prompts: bool = True) -> None:
        self._path = path
        self._keep_prompts = keep_prompts
        check_writable(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._begin()
        except OSError as error:
            raise _unwritable(path, error) from error

    def add(self, question: Question, reply: Reply) -> None:
        """Keep a reply that was received, without keys and whatever looks like one.

        Raises:
            InfraError: it cannot be written.
        """
        line = _scrubbed(_as_line(question, reply, keep_prompts=self._keep_prompts))
        try:
            self._append(line)
        except OSError as error:
            full = f"a reply could not be written to the cassette {self._path}: {error.strerror}"
            raise InfraError(
                full, category=Category.STORE, hint="is the disk full? It can be recorded again"
            ) from error

    def close(self) -> None:
        """Let go of the file; once more does no harm."""
        self._file.close()

    def _begin(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            self._append(
                {"format": FORMAT, "format_version": FORMAT_VERSION, "generator": f"pytest-llmbench {__version__}"}
            )
        elif not _ends_whole(self._path, size):
            self._file.write(BROKEN_OFF)

    def _append(self, entry: Mapping[str, Any]) -> None:
        text = json.dumps(entry, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        data = memoryview(text.encode() + b"\n")
        while data:  # one write, unless the disk is full in its middle
            data = data[self._file.write(data) :]


def check_writable(path: Path) -> None:
    """Refuse to add to a file that is no cassette.

    Raises:
        UsageError: it is another kind of file, a folder, or of a newer format.
    """
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            first = file.readline(10_000)
    except OSError as error:
        raise _unwritable(path, error) from error
    if first:
        check_header(path, first)


def _as_line(question: Question, reply: Reply, *, keep_prompts: bool) -> dict[str, Any]:
    asked = {"messages": _shortened([dict(message) for message in question.request.messages])} if keep_prompts else {}
    return {
        "key": key_of(question),
        "prompt": prompt_of(question),
        "test": question.test_key,
        "ordinal": question.ordinal,
        "model": question.target.name,
        "request": {**asked, **_shortened(deciding_of(question))},
        "reply": _told(reply),
    }


def _told(reply: Reply) -> dict[str, Any]:
    """What is kept of a reply; what is unknown or usual is left out."""
    timing = {name: getattr(reply.timing, name) for name in _TIMES}
    whole = {
        "text": reply.text,
        "reasoning": reply.reasoning,
        "tool_calls": [call.as_dict() for call in reply.tool_calls],
        "served_model": reply.served_model,
        "finish_reason": reply.finish_reason,
        "streamed": reply.streamed,
        "usage": _known(reply.usage.as_dict()),
        "timing": _known(timing),
        "cost_usd": reply.cost.usd,
    }
    return {name: value for name, value in whole.items() if value or name == "text"}


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}
    return {name: value for name, value in rounded.items() if value is not None and value is not False}


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}... ({len(value)} characters)"
    if isinstance(value, list | tuple):
        return [_shortened(each) for each in value]
    return {name: _shortened(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _scrubbed(value: Any) -> Any:
    """Without keys, and whatever looks like one: the file is made to be shared."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_scrubbed(each) for each in value]
    return {name: _scrubbed(each) for name, each in value.items()} if isinstance(value, dict) else value


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the cassette {path} cannot be written: {error.strerror or error}", hint="name another file with --record"
    )


def _ends_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
