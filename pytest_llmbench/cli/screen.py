"""What verbs print: tables and progress, in colour on a terminal, plain and whole when piped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_llmbench.display import display_safe, terminal_safe

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Progress = Callable[[int, int | None, str], None]
"""Called with what is done, the total where it is known, and what is being done."""

_GAP = 2
"""Columns between two columns of a table."""
_NARROWEST = 7
"""A cut cell still says something."""


def show_json(value: Any) -> None:
    """Print JSON for programs; in ASCII, so that a stranger's text cannot steer the terminal it may land on."""
    print(json.dumps(value, indent=2))


def show_line(text: str) -> None:
    """Print one line, made safe to show."""
    print(display_safe(text, keep=""))


def show_problem(text: str) -> None:
    """Print what went wrong, on standard error and made safe to show; the command goes on."""
    print(f"llmbench: error: {terminal_safe(text)}", file=sys.stderr)


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]], cut: Collection[str] = ()) -> None:
    """Print rows under heads; cells are made safe to show.

    Args:
        heads: one a column.
        rows: as many cells each.
        cut: heads of the columns that a terminal may show shortened, where the others would not fit; without any, long
            cells are folded. Nothing is cut when piped: a row is a line, as wide as it needs to be.
    """
    cells = [[display_safe(cell, keep="") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    if sys.stdout.isatty():
        _show_rich(heads, cells, _limits(dict(zip(heads, widths, strict=True)), cut))
        return
    for row in (heads, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_styled(spans: Iterable[tuple[str, Mapping[str, bool]]]) -> None:
    """Print one line of texts that are safe already, each with its markup (`bold`, `light`, `green`, ...)."""
    if not sys.stdout.isatty():
        print("".join(text for text, _ in spans).rstrip())
        return
    from rich.console import Console  # noqa: PLC0415  only a terminal needs rich
    from rich.text import Text  # noqa: PLC0415

    styled = [(text, " ".join("dim" if word == "light" else word for word in markup)) for text, markup in spans]
    Console(highlight=False, soft_wrap=True).print(Text.assemble(*styled))


def width() -> int:
    """Columns to write for: those of the terminal, at most 100; 80 when piped."""
    return min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else 80


def size(count: int | None) -> str:
    """Bytes as people read them; a dash where nobody knows."""
    if count is None:
        return "–"
    if count >= 1e5:
        return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count} B"


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on a terminal, gone when the work is done; when piped, a line at every tenth."""
    with progress_of_many() as progress_of:
        yield progress_of("")


@contextmanager
def progress_of_many() -> Iterator[Callable[[str], Progress]]:
    """A bar for each thing that goes on, or lines of all of them when piped; they may be told from any thread.

    The bars are gone when all is done or interrupted: what came of each thing is told by whoever did it.
    """
    if not sys.stderr.isatty():
        yield lambda _name: _Lines().update
        return
    with _bars() as bars:

        def progress_of(name: str) -> Progress:
            # One without a name yet is shown once it is told what is being done.
            task = bars.add_task(_shown(name), total=None, visible=bool(name))
            return lambda done, total, what: bars.update(
                task, completed=done, total=total, description=_shown(what), visible=True
            )

        yield progress_of


class _Lines:
    """Progress for logs."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", -1)

    def update(self, done: int, total: int | None, what: str) -> None:
        tenth = done * 10 // total if total else 0
        if (what, tenth) != self._last:
            self._last = (what, tenth)
            share = f" {tenth * 10} % of {size(total)}" if total else ""
            # In one piece: other threads write lines, too.
            sys.stderr.write(f"{display_safe(what, keep='')}{share}\n")
            sys.stderr.flush()


def _bars() -> RichProgress:
    from rich.console import Console  # noqa: PLC0415  only a terminal needs rich
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return RichProgress(*columns, console=Console(stderr=True), transient=True)


def _shown(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415  only a terminal needs rich

    return escape(display_safe(text, keep=""))


def _limits(widths: Mapping[str, int], cut: Collection[str]) -> dict[str, int]:
    """Widths for the columns that may be cut: the widest of them gives way first."""
    limits = {head: width for head, width in widths.items() if head in cut}
    excess = sum(widths.values()) + _GAP * (len(widths) - 1) - shutil.get_terminal_size().columns
    while excess > 0 and max(limits.values(), default=0) > _NARROWEST:
        limits[max(limits, key=limits.__getitem__)] -= 1
        excess -= 1
    return limits


def _show_rich(heads: Sequence[str], rows: Sequence[Sequence[str]], limits: Mapping[str, int]) -> None:
    from rich.console import Console  # noqa: PLC0415  only a terminal needs rich
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head, no_wrap=head in limits, max_width=limits.get(head))
    for row in rows:
        cells = zip(heads, row, strict=True)
        table.add_row(*(Text(cell, overflow="ellipsis" if head in limits else "fold") for head, cell in cells))
    Console().print(table)
