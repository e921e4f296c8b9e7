"""A use case's page, `USE-CASE.md`: YAML between two lines of `---`, then prose. Lines are counted through both."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.strict_yaml import Document, KeyPath, dotted
from pytest_llmbench.errors import ConfigError

PAGE = "USE-CASE.md"

_FENCE = "---"
_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Page:
    """A page as read."""

    file: Path
    name: str
    """How errors call it."""
    text: str
    """All of it."""
    front: Document | None
    """The front matter, with the lines of the whole page; None where there is none."""
    prose: str
    prose_line: int = 1
    """The line that the prose begins on."""
    sections: tuple[Section, ...] = field(default=())

    def error(self, path: KeyPath, message: str, *, hint: str = "") -> ConfigError:
        """What is wrong at a key of the front matter."""
        where = f"{dotted(path)}: " if path else ""
        return ConfigError(f"{self.name}:{self.line(path)}: {where}{message}", hint=hint)

    def error_at(self, line: int, message: str, *, hint: str = "") -> ConfigError:
        """What is wrong on a line."""
        return ConfigError(f"{self.name}:{line}: {message}", hint=hint)

    def line(self, path: KeyPath) -> int:
        """The line of a key of the front matter, or of the nearest thing around it."""
        return self.front.line(path) if self.front else 1

    @property
    def folder_name(self) -> str:
        """The folder's name, as a use case may be called."""
        return as_name(self.file.resolve().parent.name)

    @property
    def title(self) -> str:
        """The text of the first heading; empty where there is none."""
        return next((section.title for section in self.sections if section.level == 1), "")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the prose and what stands below it, up to the next heading of its level or above."""

    level: int
    """From 1."""
    title: str
    line: int
    """Of the heading."""
    lines: tuple[tuple[int, str], ...]
    """What stands below: number and text of each line."""

    @property
    def text(self) -> str:
        """What stands below, without empty lines around it."""
        return "\n".join(text for _, text in self.lines).strip()


def as_name(text: str) -> str:
    """A text made into a name: letters, digits, `.`, `_` and `-`, of which other signs become one."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:100] or "use-case"


def read(file: Path) -> Page:
    """The page in a file.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, is larger than 1 MB, or its front matter is not plain YAML.
    """
    name = strict_yaml.shown(file)
    text = _text(file, name)
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return Page(file, name, text, None, text, 1, _sections(lines, 1))
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == _FENCE), 0)
    if not end:
        raise ConfigError(f"{name}:1: the front matter has no end", hint="close it with a line of three dashes: ---")
    # An empty first line in place of the dashes: so the lines of YAML are those of the page.
    front = strict_yaml.parse("\n".join(["", *lines[1:end]]), name)
    rest = lines[end + 1 :]
    return Page(file, name, text, front, "\n".join(rest), end + 2, _sections(rest, end + 2))


def _text(file: Path, name: str) -> str:
    if not file.is_file():
        raise ConfigError(f"{name}: no such file", hint="`llmbench usecase new FOLDER` begins a use case")
    try:
        with file.open("rb") as stream:
            content = stream.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    if len(content) > strict_yaml.MAX_BYTES:
        raise ConfigError(f"{name}: is larger than {strict_yaml.MAX_BYTES:,} bytes; data belongs into data/")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8 text", hint="save the file as UTF-8") from error


def _sections(lines: list[str], first: int) -> tuple[Section, ...]:
    """The sections of Markdown; a `#` inside a fence is no heading."""
    headings: list[tuple[int, int, str]] = []
    fence = ""
    for index, line in enumerate(lines):
        mark = fence_mark(line)
        if fence:
            fence = "" if mark.startswith(fence) and line.strip() == mark else fence
        elif mark:
            fence = mark
        elif level := _heading_level(line):
            headings.append((index, level, line[level:].strip().rstrip("#").strip()))
    return tuple(_built(lines, first, headings))


def _built(lines: list[str], first: int, headings: list[tuple[int, int, str]]) -> list[Section]:
    """A section for each heading: it ends where the next of its level or above begins."""
    found: list[Section] = []
    next_at = [len(lines)] * (_LEVELS + 1)
    for index, level, title in reversed(headings):
        end = min(next_at[: level + 1])
        next_at[level] = index
        below = ((first + place, lines[place]) for place in range(index + 1, end))
        found.append(Section(level, title, first + index, tuple(below)))
    return found[::-1]


def fence_mark(line: str) -> str:
    """The backquotes or tildes that open or close a fence of code; empty where the line does neither."""
    stripped = line.strip()
    for sign in "`~":
        length = len(stripped) - len(stripped.lstrip(sign))
        if length >= 3:
            return sign * length
    return ""


def _heading_level(line: str) -> int:
    level = len(line) - len(line.lstrip("#"))
    return level if 1 <= level <= _LEVELS and line[level : level + 1] in {" ", "\t", ""} else 0
