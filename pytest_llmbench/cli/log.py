"""`llmbench log`: the calls of a run to models, while it goes on or after it ended in whatever way."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.chat import kept
from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.log_output import CONTENT_NAMES, opened_output, write_csv, write_json
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import Category, ExitCode, UsageError, did_you_mean
from pytest_llmbench.observe.log_choice import SLOW_S, Wanted
from pytest_llmbench.observe.log_fields import CALL, WAITING, Line
from pytest_llmbench.observe.log_files import files_in
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.reports import terminal_lines
from pytest_llmbench.reports.log_groups import grouped
from pytest_llmbench.reports.log_words import LogWords, Tally, content_of
from pytest_llmbench.store import Store

_POLL_S = 0.3
_IS_OVER_S = 2.0
"""Between two looks whether the run has ended."""


def show(arguments: argparse.Namespace) -> int:
    """Print a run's log, or write it.

    Raises:
        UsageError: the run has none, or the arguments do not go together.
    """
    if arguments.json and arguments.csv:
        raise UsageError("--json and --csv are two forms of the same", hint="give one of them")
    wanted = Wanted(arguments.failed, arguments.slow, _category(arguments.category), arguments.model, arguments.test)
    path = Path(arguments.run)
    if path.suffix == ".jsonl":
        if not path.is_file():
            raise UsageError(f"no file {path}", hint="name a run, or a file of a request log")
        return _show(arguments, wanted, _of_file(path), is_over=lambda: True)
    folder = project.resolved(arguments).results_dir
    with ExitStack() as held:
        run_id, is_over = _found(arguments, folder, held)
        logs = folder / "logs" / run_id
        if not files_in(logs) and (is_over() or not arguments.follow):
            raise _no_log(run_id, is_over=is_over())
        return _show(arguments, wanted, LogReader.of_folder(logs), is_over)


def _category(name: str) -> str:
    """The kind of failures that is wanted, `timeout` for all of `timeout.*`; refused where there is none such."""
    groups = {category.partition(".")[0] for category in Category}
    if name and name not in {*groups, *Category}:
        near = did_you_mean(name, {*groups, *map(str, Category)})
        raise UsageError(
            f"--category: there are no failures of the kind {name!r}{near}",
            hint=f"there are {', '.join(sorted(groups))}",
        )
    return name


def _of_file(path: Path) -> LogReader:
    """Reads one file; refused where not a line of it is of a log."""
    peek, reader = (LogReader(lambda: {"": [path]}) for _ in range(2))
    if next(peek.lines(), None) is None and peek.broken:
        raise _not_one(str(path))
    return reader


def _not_one(name: str) -> UsageError:
    return UsageError(
        f"{name} is no request log",
        hint="name a run, or a file of its log: .llmbench/logs/RUN/requests-main.jsonl, for instance",
    )


def _found(arguments: argparse.Namespace, folder: Path, held: ExitStack) -> tuple[str, Callable[[], bool]]:
    """The id of a run, or of a chat where no run is called so; and whether it is over.

    Its database stays open as long as `held`: opening one that is being written to looks through all of it.
    """
    try:
        store, _ = held.enter_context(opened(arguments))
        run_id = store.header(arguments.run).id
    except UsageError:
        chat = kept.find(folder, arguments.run)
        if chat is None and arguments.run and os.path.exists(arguments.run):  # noqa: PTH110 - no error of a long name
            raise _not_one(arguments.run) from None
        if chat is None:
            raise
        store, run_id = held.enter_context(Store.open(folder / kept.DATABASE)), chat.run_id
    return run_id, partial(_is_over, store, run_id)


def _is_over(store: Store, run_id: str) -> bool:
    return store.header(run_id).exit_code is not None


def _show(arguments: argparse.Namespace, wanted: Wanted, reader: LogReader, is_over: Callable[[], bool]) -> int:
    looked = _Looked()
    lines = looked.through(_followed(reader, is_over) if arguments.follow else _settled(reader))
    chosen = (_without_content(line, arguments) for line in lines if wanted.holds(line))
    with opened_output(arguments.output, reader) as output:
        if arguments.json or (arguments.output and not arguments.csv):
            write_json(chosen, output)
        elif arguments.csv:
            write_csv(chosen, output, content=arguments.content)
        else:
            _print(chosen, arguments, looked)
    if arguments.content and looked.calls and not looked.contents:
        print("llmbench: no prompts and answers are shown: none were logged; request_log=content does", file=sys.stderr)
    _tell_passed_over(reader)
    return ExitCode.OK


@dataclass(slots=True)
class _Looked:
    """What was looked through, wanted or not."""

    calls: int = 0
    contents: int = 0
    """Calls with what was asked and answered."""

    def through(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            if line.get("event") == CALL:
                self.calls += 1
                self.contents += not CONTENT_NAMES.isdisjoint(line)
            yield line


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


def _print(lines: Iterable[Line], arguments: argparse.Namespace, looked: _Looked) -> None:
    is_terminal = sys.stdout.isatty()
    slow_s = arguments.slow or SLOW_S
    words, tally = LogWords(screen.width() if is_terminal else None, slow_s), Tally()
    for number, line in enumerate(grouped(lines)):
        if not number and is_terminal:
            _put(words.head())
        tally.add(line, slow_s)
        for shown in words.of(line):
            _put(shown)
        if arguments.content:
            for text in content_of(line):
                screen.show_line(f"    {terminal_safe(text, keep='')}")
        sys.stdout.flush()
    screen.show_line(tally.words(among=looked.calls))


def _put(line: terminal_lines.Line) -> None:
    screen.show_styled((text, terminal_lines.MARKUP[style]) for text, style in line)


def _without_content(line: Line, arguments: argparse.Namespace) -> Line:
    if arguments.content or CONTENT_NAMES.isdisjoint(line):
        return line
    return {name: value for name, value in line.items() if name not in CONTENT_NAMES}


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
