"""Rubrics as people write them: a title, prose, and under `## Criteria` a list, with the line of each part.

- **greeting** (weight 2, must): Greets the customer by name.
  - 1: no greeting
  - 5: warm and personal
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.strict_yaml import Document, KeyPath
from pytest_llmbench.errors import ConfigError, did_you_mean
from pytest_llmbench.judges.rubric_schema import KINDS, PERCENT

CRITERIA, SCALE = "criteria", "scale"
FENCE = "---"
FORM = "- **id** (weight 2, yes-no, must): what is wanted"

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_ITEM = re.compile(r"([ \t]*)[-*+][ \t]+(\S.*)")
_BOLD = re.compile(r"\*\*([^*]{1,200})\*\*")
_ANCHOR = re.compile(r"(?:\*\*)?(\d{1,4})(?:\*\*)?[ \t]*:[ \t]*(.*)", re.ASCII)
_WEIGHT = re.compile(r"(?:weight[ \t]+)?(\d{1,9}(?:\.\d{1,9})?)([ \t]?%)?", re.ASCII)
_AT_AN_EDGE = re.compile(r"^\(([^()]{1,100})\)|\(([^()]{1,100})\)\.?$")
_INNER = 2
"""Columns from which an item belongs to the one above."""


def document(text: str, name: str) -> Document:
    """A rubric's Markdown as the mapping that its YAML would be, with the lines of the Markdown.

    Args:
        text: of the file, with line ends as `\\n`.
        name: how errors name it.

    Raises:
        ConfigError: a line can mean nothing, with the line.
    """
    lines = text.split("\n")
    end = front_end(lines)
    front = strict_yaml.parse("\n".join(["", *lines[1:end]]), name) if end else Document(name)
    reader = _Reader(name, dict(front.data), dict(front.lines))
    for number, line in enumerate(lines[end + 1 if end else 0 :], start=end + 2 if end else 1):
        reader.take(number, line)
    return reader.document()


def front_end(lines: list[str]) -> int:
    """The index of the line that closes the front matter; 0: there is none."""
    if lines[0].rstrip() != FENCE:
        return 0
    return next((index for index, line in enumerate(lines[1:], start=1) if line.rstrip() == FENCE), 0)


def headings(text: str) -> Iterator[str]:
    """The titles of all headings, less those inside fences of code."""
    fence = ""
    for line in text.split("\n"):
        fence = _fence_after(fence, line)
        if not fence and (found := _HEADING.fullmatch(line.rstrip())):
            yield _title(found)


def _title(found: re.Match[str]) -> str:
    return found[2].strip().rstrip("#").strip()


def _fence_after(fence: str, line: str) -> str:
    """The fence of code that is open behind a line; empty where none is."""
    mark = line.strip()[:3]
    if fence:
        return "" if mark == fence else fence
    return mark if mark in {"```", "~~~"} else ""


@dataclass(slots=True)
class _Reader:
    """Takes line after line."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    _section: str = ""
    _level: int = 0
    _fence: str = ""
    _prose: list[tuple[int, str]] = field(default_factory=list)
    _criteria: list[dict[str, Any]] = field(default_factory=list)
    _last: tuple[dict[str, Any], str] | None = None
    """Where the text of the last item stands, which further lines carry on."""
    _gap: bool = False
    """Whether a blank line came since."""

    def take(self, number: int, line: str) -> None:
        """One line."""
        was_open = self._fence
        self._fence = _fence_after(self._fence, line)
        heading = None if self._fence or was_open else _HEADING.fullmatch(line.rstrip())
        if heading:
            self._take_heading(number, line, heading)
        elif self._section:
            self._take_item(number, line)
        else:
            self._prose.append((number, line))

    def document(self) -> Document:
        """What was read."""
        for place, one in enumerate(self._criteria):
            self._check_options(self.lines[(CRITERIA, place)], one)
        if prose := "\n".join(line for _, line in self._prose).strip():
            first = next(number for number, line in self._prose if line.strip())
            self._put("text", prose, first)
        return Document(self.name, self.data, self.lines)

    def _take_heading(self, number: int, line: str, heading: re.Match[str]) -> None:
        level, title = len(heading[1]), _title(heading)
        if (word := title.casefold().rstrip(":")) in {CRITERIA, SCALE}:
            self._section, self._level, self._last = word, level, None
            self._put(word, self._criteria if word == CRITERIA else {}, number)
        elif level == 1 and "title" not in self.data and not self._prose_said():
            self._put("title", title, number)
            self._section = ""
        elif self._section and level > self._level:
            raise self._error(number, f"a heading cannot stand in the list of {self._section}")
        else:
            self._section = ""
            self._prose.append((number, line))

    def _prose_said(self) -> bool:
        return any(line.strip() for _, line in self._prose)

    def _take_item(self, number: int, line: str) -> None:
        found = _ITEM.fullmatch(line.rstrip())
        if found is None:
            self._carry_on(number, line)
            return
        self._gap = False
        if self._section == SCALE:
            self._take_anchor(number, found[2], self.data, (SCALE,))
        elif len(found[1].expandtabs(4)) < _INNER:
            self._take_criterion(number, found[2])
        elif self._criteria:
            place = len(self._criteria) - 1
            self._take_anchor(number, found[2], self._criteria[place], (CRITERIA, place, SCALE))
        else:
            raise self._error(number, f"an anchor stands below its criterion, and there is none yet ({FORM})")

    def _carry_on(self, number: int, line: str) -> None:
        """A further line of the last item; at the margin, behind a blank line, it stands outside the list."""
        if not line.strip():
            self._gap = True
            return
        if self._last is None:
            raise self._error(number, f"is no item of the list of {self._section} ({FORM})")
        if self._gap and not line[0].isspace():
            if self._prose and self._prose[-1][1].strip() and self._prose[-1][0] != number - 1:
                self._prose.append((number, ""))
            self._prose.append((number, line))
            return
        held, key = self._last
        held[key] = f"{held[key]} {line.strip()}"

    def _take_criterion(self, number: int, body: str) -> None:
        bold = _BOLD.match(body)
        if bold is None:
            raise self._error(number, f"a criterion begins with its id in bold: {FORM}")
        rest = body[bold.end() :].lstrip()
        said, options = bold[1].strip(), ""
        if not said.endswith(":") and rest.startswith("(") and ")" in rest:
            options, _, rest = rest[1:].partition(")")
        one: dict[str, Any] = {"id": said.rstrip(": "), "text": rest.lstrip().removeprefix(":").strip()}
        path: KeyPath = (CRITERIA, len(self._criteria))
        self.lines[path] = number
        self._criteria.append(one)
        self._last = (one, "text")
        for option in filter(None, (each.strip() for each in options.split(","))):
            self._take_option(number, option, one)

    def _take_option(self, number: int, option: str, one: dict[str, Any]) -> None:
        word = option.casefold()
        key, value = self._option(number, word)
        if key in one:
            raise self._error(number, f"{one['id']}: {option!r} stands beside another {key}")
        one[key] = value

    def _option(self, number: int, word: str) -> tuple[str, Any]:
        if word == "must":
            return "must", True
        if word in KINDS:
            return "kind", word
        if (weight := _WEIGHT.fullmatch(word)) and (word.startswith("weight") or weight[2]):
            return "weight", f"{weight[1]} %" if weight[2] else float(weight[1])
        if word.startswith("weight") and PERCENT.search(word) is None:
            raise self._error(number, f"{word!r} is no weight: 'weight 2', or a percentage, '40 %'")
        known = ("must", "weight 2", *KINDS)
        raise self._error(number, f"{word!r:.80} means nothing here{did_you_mean(word, known)} ({', '.join(known)})")

    def _check_options(self, number: int, one: dict[str, Any]) -> None:
        """Options behind the colon or at the end of a text would be read to the judge, and count for nothing."""
        for found in _AT_AN_EDGE.finditer(one["text"]):
            words = [word.strip().casefold() for word in (found[1] or found[2]).split(",")]
            named = [word for word in words if word == "must" or word in KINDS or word.startswith("weight")]
            if named and all(word in named or _WEIGHT.fullmatch(word) for word in words):
                raise self._error(number, f"{one['id']}: {found[0]!r} means nothing there: {FORM}")

    def _take_anchor(self, number: int, body: str, held: dict[str, Any], path: KeyPath) -> None:
        found = _ANCHOR.fullmatch(body)
        if found is None:
            raise self._error(number, "an anchor is a grade and what it stands for: - 5: warm and personal")
        scale = held.setdefault(SCALE, {})
        if found[1] in scale:
            raise self._error(number, f"the grade {found[1]} stands there twice")
        scale[found[1]] = found[2]
        self.lines.setdefault(path, number)
        self.lines[(*path, found[1])] = number
        self._last = (scale, found[1])

    def _put(self, key: str, value: Any, number: int) -> None:
        if key in self.data:
            raise self._error(number, f"there is a {key} already, from line {self.lines[(key,)]}")
        self.data[key] = value
        self.lines[(key,)] = number

    def _error(self, number: int, message: str) -> ConfigError:
        return ConfigError(f"{self.name}:{number}: {message}", hint="docs/reference/rubrics.md has the form")
