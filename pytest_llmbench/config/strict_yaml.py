"""YAML that is data and nothing else: plain mappings, lists, texts and numbers, each with the line it stands on.

Refused, with the place: duplicate keys, anchors and aliases (a small file could unfold to gigabytes), tags, several
documents, files over 1 MB, nesting over 20. Plain words follow YAML 1.2: only `true`, `false` and `null` are special,
so that `no` and `12:30` stay the words they look like.

Built on PyYAML's events: its constructors forget lines, keep the last of two equal keys and recurse without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml import events

from pytest_llmbench.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top: `("thresholds", 0, "min")`."""

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as builtin types, and where each key stands."""

    name: str
    """How errors name the file."""
    data: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    """Key path → line, from 1."""

    def line(self, path: KeyPath) -> int:
        """The line of a key path, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `thresholds[0].min`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{_shown(key)}" for key in path).lstrip(".")


def _shown(key: str) -> str:
    return key if key.isprintable() and len(key) <= 80 else repr(key[:80])


def shown(path: Path) -> str:
    """A path as short as it can be named from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read(path: Path, name: str = "", *, list_as: str = "") -> Document:
    """The document in a file.

    Args:
        path: a regular file of at most 1 MB in UTF-8.
        name: how to name it in errors; its path where not given.
        list_as: a list at the top is taken for the value of this key; without it a list is refused.

    Raises:
        ConfigError: it cannot be read, or is not plain YAML with a mapping at its top.
    """
    shown = name or str(path)
    if not path.is_file():
        raise ConfigError(f"{shown}: no such file", hint="`llmbench config init` writes an example")
    return parse(text_of(path, shown, MAX_BYTES, "a configuration file is not"), shown, list_as=list_as)


def text_of(path: Path, shown: str, most_bytes: int, why: str, *, hint: str = "") -> str:
    """The UTF-8 text in a regular file; a byte order mark is taken off.

    Args:
        path: the file.
        shown: how to name it in errors.
        most_bytes: that it may hold.
        why: more are too many.
        hint: what to do about one that is no UTF-8.

    Raises:
        ConfigError: it cannot be read, is larger, or is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise ConfigError(f"{shown}: is larger than {most_bytes:,} bytes; {why}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: is not UTF-8 text", hint=hint) from error


def parse(text: str, name: str, *, list_as: str = "") -> Document:
    """The document in `text`; see `read`."""
    try:
        return _Composer(name, yaml.parse(text, Loader=_PARSER)).document(list_as)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(
            f"{name}:{line}: is not YAML: {error.problem or error.context}",
            hint="indent with spaces, and quote texts that hold ': ', ' #', or begin with one of [{&*!|>%@`",
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: is not YAML: {error.reason}") from error


class _Composer:
    """Builds values from the events of one document, with the line of each."""

    def __init__(self, name: str, stream: Iterator[Any]) -> None:
        self._name = name
        self._stream = stream
        self._lines: dict[KeyPath, int] = {}

    def document(self, list_as: str = "") -> Document:
        next(self._stream)  # the stream's start
        if isinstance(next(self._stream), events.StreamEndEvent):
            return Document(self._name)
        first = next(self._stream)
        top: KeyPath = (list_as,) if list_as and isinstance(first, events.SequenceStartEvent) else ()
        data = self._value(first, top)
        next(self._stream)  # the document's end
        if not isinstance(after := next(self._stream), events.StreamEndEvent):
            self._refuse(after, (), "a second document begins here; only one is allowed")
        if top:
            return Document(self._name, {list_as: data}, self._lines)
        if data is not None and not isinstance(data, dict):
            self._refuse(first, (), "the file must be a mapping (key: value)")
        return Document(self._name, data or {}, self._lines)

    def _value(self, event: Any, path: KeyPath) -> Any:
        self._lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, events.AliasEvent) or event.anchor:
            self._refuse(event, path, "anchors (&) and aliases (*) are not allowed; write the value out or quote it")
        if event.tag:
            self._refuse(event, path, "tags (!) are not allowed; quote the value to make it text")
        if isinstance(event, events.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if len(path) >= MAX_DEPTH:
            self._refuse(event, path, f"nested deeper than {MAX_DEPTH} levels")
        return self._mapping(path) if isinstance(event, events.MappingStartEvent) else self._list(path)

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self._stream), events.MappingEndEvent):
            if not isinstance(key, events.ScalarEvent):
                self._refuse(key, path, "a key must be plain text")
            here = (*path, key.value)
            self._value(key, here)
            if key.value in found:
                self._refuse(key, here, f"the key stands twice, first on line {self._lines[here]}")
            found[key.value] = self._value(next(self._stream), here)
        return found

    def _list(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(item := next(self._stream), events.SequenceEndEvent):
            found.append(self._value(item, (*path, len(found))))
        return found

    def _refuse(self, event: Any, path: KeyPath, reason: str) -> NoReturn:
        where = f"{dotted(path)}: " if path else ""
        raise ConfigError(f"{self._name}:{event.start_mark.line + 1}: {where}{reason}")


def _scalar(text: str) -> Any:
    """A plain word by the rules of YAML 1.2's core schema, less octal and hexadecimal."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan")) if _NUMBER.fullmatch(text) else text
