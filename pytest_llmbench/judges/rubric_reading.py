"""Rubrics from Markdown, YAML, mappings and plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.strict_yaml import Document
from pytest_llmbench.config.validating import validated
from pytest_llmbench.errors import ConfigError, did_you_mean
from pytest_llmbench.judges import rubric_markdown
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.rubric_markdown import CRITERIA
from pytest_llmbench.judges.rubric_schema import RubricFileDef, RubricParts, built, unseen

MAX_BYTES = 200_000
PLAIN = "rubric"
"""The id of the one criterion of a plain text."""
HINT = "docs/reference/rubrics.md has every key and both forms"

_YAML_NAMES = (".yaml", ".yml", ".json")
_MARKDOWN_NAMES = (".md", ".markdown")
_TOP_KEYS = "|".join(RubricParts.model_fields)
_YAML_START = re.compile(rf"\s*(?:#[^\n]*\n\s*|---[ \t]*\n\s*)*(?:\{{|(?:{_TOP_KEYS})[ \t]*:(?:\s|$))")


def read(text: str, name: str, *, called: str = "", origin: str = "") -> Rubric:
    """The rubric that a text is: Markdown, YAML, or plain text, which is one yes-no criterion.

    Args:
        text: of a file, or of a front matter.
        name: how errors name it.
        called: the rubric's name where it says none itself.
        origin: the file it stands in.

    Raises:
        ConfigError: it is none, with `name:line:` of each mistake.
    """
    text = _plain_lines(text, name)
    document = strict_yaml.parse(text, name) if _is_yaml(text) else _markdown(text, name)
    return _built(document, called or PLAIN, origin)


def read_file(path: Path, *, name: str = "") -> Rubric:
    """The rubric in a file; Markdown or YAML by how its name ends, else by its content.

    Args:
        path: a regular file of at most 200 kB in UTF-8.
        name: how to name it in errors; its path where not given.

    Raises:
        ConfigError: it cannot be read, or is no rubric; with file and line.
    """
    name = name or strict_yaml.shown(path)
    text = _plain_lines(_content(path, name), name)
    suffix = path.suffix.lower()
    is_yaml = suffix in _YAML_NAMES or (suffix not in _MARKDOWN_NAMES and _is_yaml(text))
    called = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:100] or PLAIN
    return _built(strict_yaml.parse(text, name) if is_yaml else _markdown(text, name), called, name)


def from_mapping(mapping: Mapping[str, Any], name: str = PLAIN) -> Rubric:
    """The rubric that a mapping is, as from YAML.

    Raises:
        ConfigError: it is none; keys are named, lines there are none.
    """
    return _built(Document(name, dict(mapping)), PLAIN, "")


def _built(document: Document, called: str, origin: str) -> Rubric:
    return built(validated(RubricFileDef, document, hint=HINT), called, origin)


def _markdown(text: str, name: str) -> Document:
    """What is written for people: with headings, or a plain text."""
    if not text.strip():
        raise ConfigError(f"{name}:1: the rubric is empty", hint=HINT)
    titles = list(rubric_markdown.headings(text))
    if not titles and not rubric_markdown.front_end(text.split("\n")):
        return Document(name, {CRITERIA: [{"id": PLAIN, "text": text, "kind": "yes-no"}]})
    found = rubric_markdown.document(text, name)
    if not found.data.get(CRITERIA):
        near = next((near for title in titles if (near := did_you_mean(title, ["Criteria"]))), "")
        raise ConfigError(
            f"{name}:{found.line((CRITERIA,))}: the rubric has no criteria{near}",
            hint=f"list them under '## Criteria', each as {rubric_markdown.FORM}",
        )
    return found


def _is_yaml(text: str) -> bool:
    """Whether the first thing that is said is a key of a rubric; a front matter is Markdown's."""
    return not rubric_markdown.front_end(text.split("\n")) and bool(_YAML_START.match(text))


def _plain_lines(text: str, name: str) -> str:
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if len(plain) > MAX_BYTES:
        raise ConfigError(f"{name}: is longer than {MAX_BYTES:,} characters; a judge reads it with every reply")
    if (at := unseen(plain)) >= 0:
        line = plain.count("\n", 0, at) + 1
        raise ConfigError(f"{name}:{line}: holds the control character {plain[at]!a}", hint="is this a text file?")
    return plain


def _content(path: Path, name: str) -> str:
    if not path.is_file():
        raise ConfigError(f"{name}: there is no such file", hint=HINT)
    why = "a judge reads it with every reply"
    return strict_yaml.text_of(path, name, MAX_BYTES, why, hint="save the file as UTF-8")
