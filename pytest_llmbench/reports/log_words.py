"""Lines of a request log in words, for a terminal: a line a call, and a second one where something went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.observe.calls import Outcome
from pytest_llmbench.observe.log_choice import SLOW_S, is_measured, is_slow
from pytest_llmbench.observe.log_fields import CALL, NOTE, WAITING, Line
from pytest_llmbench.reports import terminal_lines
from pytest_llmbench.reports.log_groups import ALIKE

_TIME, _ENDED, _SECONDS, _TOKENS, _GAP = 8, 14, 8, 11, 2
_NARROWEST = 10
_STYLES = {"answered": "good", "cached": "dim", "cancelled": "warn"}
_OF_LEVEL = {"debug": "dim", "warning": "warn", "error": "bad"}

HEADS = ("UTC", "model", "asked for", "ended", "seconds", "tokens")


@dataclass(frozen=True, slots=True)
class LogWords:
    """Writes lines of a log.

    Args:
        width: columns to write for; None: nothing is cut, and what went wrong stands in the same line.
        slow_s: calls that took longer are marked.
    """

    width: int | None = None
    slow_s: float = SLOW_S

    def head(self) -> terminal_lines.Line:
        """What stands above the lines."""
        return [(self._row(HEADS), "bold")]

    def of(self, line: Line) -> list[terminal_lines.Line]:
        """One line of the log."""
        if line.get("event") == NOTE:
            return self._note(line)
        said = _ended(line)
        style = _style(line)
        cells = (_time(line), _text(line, "model"), _asked_for(line), said, _seconds(line), _tokens(line))
        found: list[terminal_lines.Line] = [self._styled(cells, style, is_slow(line, self.slow_s))]
        if why := _why(line):
            found = self._with(found, why, style)
        return found

    def _note(self, line: Line) -> list[terminal_lines.Line]:
        kind = _text(line, "kind").replace("_", " ")
        model = _text(line, "model")
        head = f"{_time(line)}{' ' * _GAP}{f'{model}: ' if model else ''}{kind}"
        found: list[terminal_lines.Line] = [[(head, _OF_LEVEL.get(_text(line, "level"), ""))]]
        return self._with(found, _text(line, "message"), "")

    def _with(self, found: list[terminal_lines.Line], why: str, style: str) -> list[terminal_lines.Line]:
        if self.width is None:
            found[-1].append((f"{' ' * _GAP}{why}", ""))
            return found
        room = max(_NARROWEST, self.width - _TIME - _GAP)
        shown = why if len(why) <= room else f"{why[: room - 1]}…"
        return [*found, [(" " * (_TIME + _GAP) + shown, style if style == "bad" else "dim")]]

    def _styled(self, cells: tuple[str, ...], style: str, slow: bool) -> terminal_lines.Line:
        time, model, asked_for, ended, seconds, tokens = self._cells(cells)
        gap = " " * _GAP
        return [
            (time + gap, "dim"),
            (model + gap + asked_for + gap, ""),
            (ended + gap, style),
            (seconds, "warn" if slow else ""),
            (gap + tokens, "dim"),
        ]

    def _row(self, cells: tuple[str, ...]) -> str:
        return (" " * _GAP).join(self._cells(cells)).rstrip()

    def _cells(self, cells: tuple[str, ...]) -> tuple[str, ...]:
        time, model, asked_for, ended, seconds, tokens = cells
        if self.width is None:
            return time, model, asked_for, ended, seconds, tokens
        left = max(2 * _NARROWEST, self.width - _TIME - _ENDED - _SECONDS - _TOKENS - 5 * _GAP)
        wide = left // 2
        return (
            time.ljust(_TIME),
            _cut(model, left - wide).ljust(left - wide),
            _cut(asked_for, wide).ljust(wide),
            _cut(ended, _ENDED).ljust(_ENDED),
            seconds.rjust(_SECONDS),
            tokens.rjust(_TOKENS),
        )


@dataclass(slots=True)
class Tally:
    """What came of the calls that were shown."""

    outcomes: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    """Of those that failed."""
    slow: int = 0
    notes: int = 0
    measured: int = 0

    def add(self, line: Line, slow_s: float = SLOW_S) -> None:
        """One more line."""
        if line.get("event") == CALL:
            self.outcomes[_text(line, "outcome")] += 1
            self.slow += is_slow(line, slow_s)
            self.measured += is_measured(line)
            if line.get("outcome") == Outcome.FAILED and (category := _text(line, "category")):
                self.categories[category] += 1
        self.notes += int(line.get(ALIKE, 1)) if line.get("event") == NOTE else 0

    def words(self, among: int | None = None) -> str:
        """In a sentence.

        Args:
            among: how many calls the log has; None: no more than were shown.
        """
        calls = self.outcomes.total()
        parts = [self._outcome(name, count) for name, count in self.outcomes.most_common()]
        if self.slow:
            parts.append(f"{self.slow} slow")
        if self.measured:
            parts.append(f"{self.measured} to measure")
        most = calls if among is None else max(among, calls)
        said = f"{calls}{f' of {most}' * (most != calls)} call{'s' * (most != 1)}{': ' * bool(parts)}{', '.join(parts)}"
        return f"{said}; {self.notes} note{'s' * (self.notes != 1)}" if self.notes else said

    def _outcome(self, name: str, count: int) -> str:
        why = f" ({_counted(self.categories)})" if name == Outcome.FAILED and self.categories else ""
        return f"{count} {name}{why}"


def content_of(line: Line) -> Iterable[str]:
    """What was asked and answered, in lines, where that was logged."""
    for message in line.get("messages", ()):
        if isinstance(message, dict):
            said = message.get("content")
            yield f"{message.get('role', '')}: {said if isinstance(said, str) else _json(said)}"
    for name in ("reasoning", "text"):
        if line.get(name):
            yield f"{'answer' if name == 'text' else name}: {line[name]}"
    if line.get("tool_calls"):
        yield f"tool calls: {_json(line['tool_calls'])}"


def _json(value: object) -> str:
    import json  # noqa: PLC0415 - seldom needed

    return json.dumps(value)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _style(line: Line) -> str:
    if line.get("outcome") == "failed":
        return "warn" if "retry_in_s" in line else "bad"
    return _STYLES.get(_text(line, "outcome"), "dim")


def _ended(line: Line) -> str:
    if line.get("event") == WAITING:
        return "under way"
    outcome = _text(line, "outcome")
    return _text(line, "category") or outcome if outcome == "failed" else outcome


def _why(line: Line) -> str:
    """What went wrong, and what becomes of it."""
    again = line.get("retry_in_s")
    parts = [f"again in {again:.3g} s"] if isinstance(again, int | float) else []
    if message := _text(line, "message"):
        _, status, told = message.partition(f"HTTP {line.get('status')}")  # before it stands where, which is told
        parts.insert(0, f"{status}{told}" or message)
    return "; ".join(parts)


def _asked_for(line: Line) -> str:
    """The sample, else the test; which trial and attempt where it is not the first. What is measured: its profile."""
    test, _, parameters = _text(line, "test").rpartition("::")[2].partition("[")
    case, sample = _text(line, "use_case"), _text(line, "sample")
    name = f"{case}/{sample}" if case and sample else f"{test}[{sample or parameters.removesuffix(']')}]"
    name = test if name in {f"{test}[]", f"{test}[{_text(line, 'model')}]"} else name
    trial, attempt = line.get("trial"), line.get("attempt")
    more = f" trial {trial + 1}" if isinstance(trial, int) and trial else ""
    more += f" try {attempt}" if isinstance(attempt, int) and attempt > 1 else ""
    name = _repetition(line) if is_measured(line) else name
    if _text(line, "role") == "judge" and parameters:  # its own column names the judge: who is judged stands in these
        name = f"{test}[{parameters}"
    role = "batch" if line.get("batch") else _text(line, "role")
    return f"{f'{role}: ' if role not in {'', 'subject'} else ''}{name}{more}"


def _repetition(line: Line) -> str:
    number = line.get("repetition")
    which = "warm-up" if isinstance(number, int) and number < 0 else f"#{_text(line, 'repetition')}"
    return f"{_text(line, 'profile')} {which}"


def _time(line: Line) -> str:
    return _text(line, "at")[11:19]


def _seconds(line: Line) -> str:
    value = line.get("waited_s") if line.get("event") == WAITING else line.get("duration_s")
    if not isinstance(value, int | float):
        return "–"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _tokens(line: Line) -> str:
    prompt, completion = line.get("prompt_tokens"), line.get("completion_tokens")
    if not isinstance(prompt, int) and not isinstance(completion, int):
        return "–"
    return f"{'?' if prompt is None else prompt}+{'?' if completion is None else completion}"


def _text(line: Line, name: str) -> str:
    return terminal_safe(str(line.get(name, "")), keep="")


def _cut(text: str, width: int) -> str:
    """The text, its middle left out where it is too long: names differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
