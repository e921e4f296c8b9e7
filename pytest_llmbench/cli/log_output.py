"""Lines of a request log on their way out: as JSON Lines or CSV, printed or into a file."""

from __future__ import annotations

import csv
import errno
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe.log_fields import CALL, CONTENT, FIELDS_OF, NOTE, SHORTENED, Line
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.reports.safe_cells import fitting_cell, safe_cell

CONTENT_NAMES = frozenset(each.name for each in (*CONTENT, SHORTENED))
"""Fields that are there with contents alone."""
_COLUMNS = tuple(dict.fromkeys(each.name for event in (CALL, NOTE) for each in FIELDS_OF[event]))


class Output:
    """Where lines go, each at once.

    Args:
        file: open for writing.
        name: what users call it; empty: it is printed, and nobody has to be told where to.
    """

    def __init__(self, file: TextIO, name: str = "") -> None:
        self._file = file
        self._name = name

    def write(self, text: str) -> None:
        """Write a line, its end with it.

        Raises:
            UsageError: the disk is full, or gone.
        """
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            if not self._name:
                raise
            raise _unwritable(self._name, error) from error


@contextmanager
def opened_output(name: str, reader: LogReader) -> Iterator[Output]:
    """Where lines go, closed with the block.

    Args:
        name: of a file, which is made anew; empty or `-`: they are printed.
        reader: reads the log; no file of it is written over.

    Raises:
        UsageError: the file cannot be written, or is the log.
    """
    if name in {"", "-"}:
        yield Output(sys.stdout)
        return
    path = Path(name)
    if reader.reads(path):
        raise UsageError(f"{path} is the log that is read: it would be emptied", hint="name another file")
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise _unwritable(str(path), error) from error
    try:
        yield Output(file, str(path))
    except BaseException:
        with suppress(OSError):  # what is left in its buffer could not be written before
            file.close()
        raise
    file.close()


def _unwritable(name: str, error: OSError) -> UsageError:
    why = error.strerror or type(error).__name__
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = "make room: what stands in it is not the whole log" if full else "name another file"
    return UsageError(f"{name} cannot be written: {why}", hint=hint)


def write_json(lines: Iterable[Line], output: Output) -> None:
    """In ASCII, so that a stranger's text cannot steer the terminal it may land on."""
    for line in lines:
        output.write(json.dumps(line, separators=(",", ":")) + "\n")


def write_csv(lines: Iterable[Line], output: Output, *, content: bool) -> None:
    """A row a line, safe to open in a spreadsheet; columns for prompts and answers only with `content`."""
    columns = [name for name in _COLUMNS if content or name not in CONTENT_NAMES]
    writer = csv.writer(output)
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(line.get(name)) for name in columns])


def _cell(value: Any) -> object:
    safe = safe_cell(json.dumps(value) if isinstance(value, bool | dict | list) else value)
    return fitting_cell(safe) if isinstance(safe, str) else safe
