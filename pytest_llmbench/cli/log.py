"""`llmbench log`: the calls of a run to models, while it goes on or after it ended in whatever way."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from pytest_llmbench import clock
from pytest_llmbench.chat import kept
from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.observe.log_choice import SLOW_S, Wanted
from pytest_llmbench.observe.log_fields import CALL, CONTENT, FIELDS_OF, NOTE, SHORTENED, WAITING, Line
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.reports import terminal_lines
from pytest_llmbench.reports.log_words import LogWords, Tally, content_of
from pytest_llmbench.reports.safe_cells import safe_cell
from pytest_llmbench.store import Store

_POLL_S = 0.3
_IS_OVER_S = 2.0
"""Between two looks whether the run has ended."""
_CONTENT = frozenset(each.name for each in (*CONTENT, SHORTENED))
_COLUMNS = tuple(dict.fromkeys(each.name for event in (CALL, NOTE) for each in FIELDS_OF[event]))

Show = Callable[[Line], None]


def show(arguments: argparse.Namespace) -> int:
    """Print a run's log, or write it.

    Raises:
        UsageError: the run has none, or the arguments do not go together.
    """
    if arguments.json and arguments.csv:
        raise UsageError("--json and --csv are two forms of the same", hint="give one of them")
    wanted = Wanted(arguments.failed, arguments.slow, arguments.category, arguments.model, arguments.test)
    path = Path(arguments.run)
    if path.suffix == ".jsonl":
        if not path.is_file():
            raise UsageError(f"no file {path}", hint="name a run, or a file of a request log")
        return _show(arguments, wanted, LogReader(lambda: {"": [path]}), is_over=lambda: True)
    folder = project.resolved(arguments).results_dir
    with ExitStack() as held:
        run_id, is_over = _found(arguments, folder, held)
        logs = folder / "logs" / run_id
        if not files_in(logs) and (is_over() or not arguments.follow):
            raise _no_log(run_id, is_over=is_over())
        return _show(arguments, wanted, LogReader.of_folder(logs), is_over)


def _found(arguments: argparse.Namespace, folder: Path, held: ExitStack) -> tuple[str, Callable[[], bool]]:
    """The id of a run, or of a chat where no run is called so; and whether it is over.

    Its database stays open as long as `held`: opening one that is being written to looks through all of it.
    """
    try:
        store, _ = held.enter_context(opened(arguments))
        run_id = store.header(arguments.run).id
    except UsageError:
        chat = kept.find(folder, arguments.run)
        if chat is None:
            raise
        store, run_id = held.enter_context(Store.open(folder / kept.DATABASE)), chat.run_id
    return run_id, partial(_is_over, store, run_id)


def _is_over(store: Store, run_id: str) -> bool:
    return store.header(run_id).exit_code is not None


def _show(arguments: argparse.Namespace, wanted: Wanted, reader: LogReader, is_over: Callable[[], bool]) -> int:
    lines = _followed(reader, is_over) if arguments.follow else _settled(reader)
    chosen = (_without_content(line, arguments) for line in lines if wanted.holds(line))
    with _output(arguments, reader) as file:
        if arguments.json or (arguments.output and not arguments.csv):
            _write_json(chosen, file)
        elif arguments.csv:
            _write_csv(chosen, file, arguments)
        else:
            _print(chosen, arguments)
    _tell_passed_over(reader)
    return ExitCode.OK


def _settled(reader: LogReader) -> Iterator[Line]:
    """Lines in the order of time; those on calls that are long under way only where these never ended."""
    under_way: dict[Any, Line] = {}
    for line in reader.lines():
        if line.get("event") == WAITING:
            under_way[line.get("call_id")] = line
            continue
        under_way.pop(line.get("call_id"), None)
        yield line
    yield from under_way.values()


def _followed(reader: LogReader, is_over: Callable[[], bool]) -> Iterator[Line]:
    """Lines as they come, until the run has ended and all is read, or until Ctrl-C."""
    looked_at = clock.monotonic()
    over = is_over()
    try:
        while True:
            found = reader.look()
            yield from found
            if over and not found:
                return
            if not found:
                clock.sleep(_POLL_S)
            if not over and clock.monotonic() - looked_at >= _IS_OVER_S:
                looked_at, over = clock.monotonic(), is_over()
    except KeyboardInterrupt:
        return


def _print(lines: Iterable[Line], arguments: argparse.Namespace) -> None:
    is_terminal = sys.stdout.isatty()
    slow_s = arguments.slow or SLOW_S
    words, tally = LogWords(screen.width() if is_terminal else None, slow_s), Tally()
    for number, line in enumerate(lines):
        if not number and is_terminal:
            _put(words.head())
        tally.add(line, slow_s)
        for shown in words.of(line):
            _put(shown)
        if arguments.content:
            for text in content_of(line):
                screen.show_line(f"    {terminal_safe(text, keep='')}")
        sys.stdout.flush()
    screen.show_line(tally.words())


def _put(line: terminal_lines.Line) -> None:
    screen.show_styled((text, terminal_lines.MARKUP[style]) for text, style in line)


def _write_json(lines: Iterable[Line], file: TextIO) -> None:
    """In ASCII, so that a stranger's text cannot steer the terminal it may land on."""
    for line in lines:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()


def _write_csv(lines: Iterable[Line], file: TextIO, arguments: argparse.Namespace) -> None:
    columns = [name for name in _COLUMNS if arguments.content or name not in _CONTENT]
    writer = csv.writer(file)
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(line.get(name)) for name in columns])
        file.flush()


def _cell(value: Any) -> object:
    return safe_cell(json.dumps(value) if isinstance(value, dict | list) else value)


def _without_content(line: Line, arguments: argparse.Namespace) -> Line:
    if arguments.content or _CONTENT.isdisjoint(line):
        return line
    return {name: value for name, value in line.items() if name not in _CONTENT}


@contextmanager
def _output(arguments: argparse.Namespace, reader: LogReader) -> Iterator[TextIO]:
    if not arguments.output or arguments.output == "-":
        yield sys.stdout
        return
    path = Path(arguments.output)
    if reader.reads(path):
        raise UsageError(f"{path} is the log that is read: it would be emptied", hint="name another file")
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="name another file") from error
    with file:
        yield file


def _tell_passed_over(reader: LogReader) -> None:
    if reader.broken:
        told = f"{reader.broken} broken line{'s' * (reader.broken != 1)} passed over: a process was killed as it wrote"
        print(f"llmbench: {told}", file=sys.stderr)
    if reader.newer:
        told = f"{reader.newer} line{'s' * (reader.newer != 1)} passed over: a newer pytest-llmbench wrote them"
        print(f"llmbench: {told}", file=sys.stderr)


def _no_log(run_id: str, *, is_over: bool) -> UsageError:
    if not is_over:
        return UsageError(f"run {run_id} has asked no model yet", hint="--follow waits for what comes")
    return UsageError(
        f"run {run_id} has no request log: it asked no model, was made with request_log=off or by an older version, or "
        "its logs are gone (those of the last 20 runs are kept)",
        hint="`llmbench runs show` tells what is stored of it",
    )
