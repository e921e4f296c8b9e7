"""How progress is told: the line, a line below pytest's on a terminal, a line a step elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from remote_askers import soon
from terminals import run_on_a_terminal

from pytest_llmbench.asker.question import ModelStatus, Status
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.reports import live, progress
from pytest_llmbench.reports.live import Display, Screen
from pytest_llmbench.reports.progress import Pace

MODEL = ModelStatus("demo/echo", done=30, failed=2, in_flight=8, waiting=60, limit=20, completion_tokens=600)


def status(*models: ModelStatus, elapsed_s: float = 10.0, **more: object) -> Status:
    return Status(models or (MODEL,), elapsed_s=elapsed_s, **more)  # type: ignore[arg-type]


def paced(*looks: Status) -> Pace:
    pace = Pace()
    for look in looks:
        pace.look(look)
    return pace


def test_the_line_tells_what_is_done_under_way_and_left() -> None:
    """Rates are those between the looks: 32 replies and 600 tokens in 10 s."""
    pace = paced(Status((ModelStatus("demo/echo"),)), status())
    assert progress.line(status(), pace) == ("asked 32/100 · 2 failed · 0:21 left · 8 in flight · 60 tokens/s")


def test_costs_are_told_with_what_is_left_and_what_is_unknown() -> None:
    """An unknown cost is never told as nothing."""
    dear = ModelStatus("a/b", done=3, cost_usd="0.0125", unknown_costs=2)
    told = progress.line(status(dear, budget_left_usd="0.9875"), Pace())
    assert told == "asked 3/3 · $0.0125 ($0.9875 left) + 2 of unknown cost · 0 in flight"


def test_what_holds_asking_up_is_told() -> None:
    """A rate limit in its own words; a pause because somebody measures."""
    limited = ModelStatus("a/b", waiting=5, state="rate limited, goes on in 12 s")
    assert "a/b rate limited, goes on in 12 s" in progress.line(status(limited), Pace())
    assert "paused: something is measured" in progress.line(status(limited, paused=True), Pace())


def test_several_models_are_told_apart() -> None:
    """The first four with their limits, the others by their number."""
    models = [ModelStatus(f"m/{number}", done=number, waiting=1, limit=9) for number in range(6)]
    assert progress.line(status(*models), Pace()).endswith(
        "m/0 0/1 (≤9) · m/1 1/2 (≤9) · m/2 2/3 (≤9) · m/3 3/4 (≤9) · 2 more models"
    )


def test_a_narrow_terminal_gets_what_matters_most() -> None:
    """Parts are left out, and no line is longer than the terminal is wide."""
    pace = paced(Status((ModelStatus("demo/echo"),)), status())
    assert progress.line(status(), pace, 40) == "asked 32/100 · 2 failed · 0:21 left"
    assert progress.line(status(), pace, 5) == "asked"


def test_a_hostile_model_name_cannot_steer_the_terminal() -> None:
    """Names come from configuration and catalogues."""
    hostile = ModelStatus("m/\x1b]0;owned\x07\n", waiting=1, state="\x1b[2J")
    told = progress.line(status(hostile, MODEL), Pace())
    assert told.isprintable()


def test_a_pace_forgets_what_is_long_ago() -> None:
    """A slow start does not make the time left too long for the rest of the run."""
    looks = [
        status(ModelStatus("m", done=10), elapsed_s=100.0),
        status(ModelStatus("m", done=20), elapsed_s=109.0),
        status(ModelStatus("m", done=110), elapsed_s=118.0),
    ]
    assert paced(status(ModelStatus("m"), elapsed_s=0.0), *looks).replies_per_s == pytest.approx(10.0)


class Terminal:
    """A pseudo-terminal as a reader sees it at the end: rows of text."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.file = os.fdopen(os.dup(self.theirs), "w")

    def screen(self) -> Screen:
        return Screen(self.file, os.dup(self.theirs))

    def read(self) -> bytes:
        os.set_blocking(self.ours, False)
        said = b""
        while True:
            try:
                said += os.read(self.ours, 65536)
            except (BlockingIOError, OSError):
                return said

    def close(self) -> None:
        self.file.close()
        os.close(self.ours)
        os.close(self.theirs)


@contextmanager
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    try:
        yield made
    finally:
        made.close()


class Rows:
    """What a terminal of so many rows shows: the few sequences that are used, obeyed."""

    SEQUENCES = ("\x1b7", "\x1b8", "\x1bD", "\x1bM", "\x1b[B", "\x1b[K", "\x1b[J", "\r", "\n")

    def __init__(self, said: bytes, rows: int) -> None:
        self.lines = [""]
        self._rows, self._row, self._column = rows, 0, 0
        self._saved = (0, 0)
        obey = dict(
            zip(
                self.SEQUENCES,
                (
                    *(self._save, self._restore, self._down, self._up, self._down),
                    *(self._erase, self._below, self._home, self._down),
                ),
                strict=True,
            )
        )
        text = said.decode()
        while text:
            found = next((each for each in self.SEQUENCES if text.startswith(each)), text[0])
            text = text[len(found) :]
            obey.get(found, lambda found=found: self._put(found))()

    def _save(self) -> None:
        self._saved = self._row, self._column

    def _restore(self) -> None:
        self._row, self._column = self._saved

    def _down(self) -> None:
        if self._row == self._rows - 1:
            del self.lines[0]
        else:
            self._row += 1
        self.lines += [""] * (self._row + 1 - len(self.lines))

    def _up(self) -> None:
        self._row -= 1

    def _erase(self) -> None:
        self.lines[self._row] = self.lines[self._row][: self._column]

    def _below(self) -> None:
        self._erase()
        del self.lines[self._row + 1 :]

    def _home(self) -> None:
        self._column = 0

    def _put(self, character: str) -> None:
        line = self.lines[self._row]
        self.lines[self._row] = line[: self._column].ljust(self._column) + character + line[self._column + 1 :]
        self._column += 1


def rows_of(said: bytes, rows: int) -> list[str]:
    return Rows(said, rows).lines


def test_a_line_below_leaves_pytests_output_as_it_is() -> None:
    """On the last row of the terminal, too, where there is no line below before."""
    with terminal() as made:
        screen = made.screen()
        screen.write("collected 3 items\n\ntests.py .")
        screen.show("asked 1/3")
        screen.write(".")
        assert rows_of(made.read(), 3)[-2:] == ["tests.py ..", "asked 1/3"]
        screen.write(".   [100%]\n")
        screen.show("asked 2/3")
        screen.write("=== 3 passed ===\n")
        assert screen.end() is made.file


def test_nothing_of_the_line_is_left_at_the_end() -> None:
    """Every row is what it would be without it."""
    with terminal() as made:
        screen = made.screen()
        for number in range(12):
            screen.write(f"line {number}")
            screen.show(f"asked {number} of a great many")
            screen.write(" done\n")
        screen.end()
        assert rows_of(made.read(), 5) == [*(f"line {number} done" for number in range(9, 12)), ""]


def test_a_line_of_its_own_begins_on_a_new_row(tmp_path: Path) -> None:
    """Where pytest is amid its dots, and where it is not."""
    path = tmp_path / "out"
    with path.open("w") as file:
        screen = Screen(file, os.dup(file.fileno()))
        screen.write("tests.py ..")
        screen.add("llmbench: asked 2/4")
        screen.add("llmbench: asked 3/4")
        screen.write("..\n")
        screen.end()
    assert path.read_text() == "tests.py ..\nllmbench: asked 2/4\nllmbench: asked 3/4\n..\n"


def test_steps_are_told_by_share_and_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tenth is told once; what is quick tells nothing."""
    now = [1000.0]
    monkeypatch.setattr(live.clock, "monotonic", lambda: now[0])
    display = Display.__new__(Display)
    display._began_at, display._told = None, None

    def due(done: int, at: float) -> bool:
        now[0] = 1000.0 + at
        return display._is_due(status(ModelStatus("m", done=done, waiting=100 - done)))

    assert [due(0, 0), due(50, 1), due(55, 2.5), due(60, 3), due(66, 4), due(66, 30), due(67, 31), due(68, 32)] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_the_thread_shows_what_it_sees_and_stops() -> None:
    """A line while something is asked, none once all is answered."""
    answered = [False]

    def look() -> Status:
        return status(ModelStatus("m", done=4, waiting=0 if answered[0] else 6))

    with terminal() as made:
        said = [b""]
        display = Display(look, made.screen(), live=True)

        def shows(wanted: bytes) -> bool:
            said[0] += made.read()
            return wanted in said[0]

        assert soon(lambda: shows(b"asked 4/10"))
        answered[0] = True
        assert soon(lambda: shows(b"\x1b[J"))
        display.end()


class Reporter:
    """What is used of pytest's."""

    def __init__(self, file: object) -> None:
        self._tw = self
        self._file = file
        self.config = self

    def getoption(self, _name: str) -> str:
        return "fd"


@pytest.mark.parametrize("how", ["auto", "live", "lines"])
def test_output_that_goes_to_no_file_shows_none(how: str) -> None:
    """Such as a test's own pytest in the same process."""
    assert live.display(Reporter(io.StringIO()), None, lambda: None, how) is None


def test_progress_can_be_switched_off(tmp_path: Path) -> None:
    """`progress = off`; and where there is no reporter, nothing can be shown."""
    with (tmp_path / "out").open("w") as file:
        assert live.display(Reporter(file), None, lambda: None, "off") is None
        assert live.display(None, None, lambda: None, "live") is None


def test_pytest_gets_its_file_back(tmp_path: Path) -> None:
    """When the display ends."""
    with (tmp_path / "out").open("w") as file:
        reporter = Reporter(file)
        shown = live.display(reporter, None, lambda: None, "lines")
        assert reporter._file is not file
        live.end(reporter, shown)
        assert reporter._file is file


def test_a_screen_is_still_pytests_file(tmp_path: Path) -> None:
    """What others ask of a file (encoding, isatty) is answered by it."""
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        screen = Screen(file, os.dup(file.fileno()))
        assert screen.encoding == "utf-8"
        print("seen", file=screen, flush=True)  # type: ignore[arg-type]
        screen.end()
    assert (tmp_path / "out").read_text() == "seen\n"


def test_a_run_on_a_terminal_shows_it_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    """pytest's own rows are what they are without it."""
    (tmp_path / "questions.jsonl").write_text('{"id": "a", "input": "1"}\n{"id": "b", "input": "2"}\n')
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.models('lab/m')\n"
        "@pytest.mark.dataset('questions.jsonl')\n"
        "def test_answer(reply): assert reply.text\n"
    )
    with DemoProvider(Answer("word", ttft_s=0.8)) as provider:
        (tmp_path / "llmbench.yaml").write_text(f"providers:\n  lab: {{url: '{provider.url}'}}\n")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--llmbench-max-concurrency=1"]
        status, said = run_on_a_terminal(command, tmp_path)
    assert status == 0
    assert re.search(rb"asked 0/2 \xc2\xb7 1 in flight\x1b\[K", said)
    shown = rows_of(re.sub(rb"\x1b\[[0-9;]*m", b"", said), 100)
    assert not [row for row in shown if "asked" in row]
    assert [row.split()[:2] for row in shown if row.startswith("test_it.py")] == [["test_it.py", ".."]]
