"""What a page of the older layout says: `# Use Case: T`, `## Metadata`, `## Goal` and its other sections."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.usecases.page import Page, Section, fence_mark

PREFIX = "Use Case:"

METADATA, GOAL, NOTES = "Metadata", "Goal", "LLM Evaluation Notes"
SCHEMA, CRITERIA = "Expected Output Schema", "Quality Criteria"
DURATIONS, SCRIPT = "Duration Rules", "Evaluation Script"
KNOWN = (METADATA, GOAL, NOTES, SCHEMA, CRITERIA, DURATIONS, SCRIPT)
NOT_TOLD = frozenset({METADATA, GOAL, NOTES, CRITERIA, SCRIPT, SCHEMA, "Sample Data Files", "Ground Truth"})
"""Sections that are no part of what a model is told, or stand in it elsewhere; those that nobody knows are told."""

_LINE = re.compile(r"[-*+]\s+\*\*(?P<key>[^*]+?)\s*:?\s*\*\*\s*:?\s*(?P<value>.*)")
_NEAR = 0.85


@dataclass(frozen=True, slots=True)
class Fence:
    """What stands in the fence of the expected output."""

    kind: str
    """`csv` or `json`."""
    text: str
    line: int
    """Of its first line."""


@dataclass(frozen=True, slots=True)
class OlderPage:
    """A page of the older layout, taken apart."""

    page: Page
    title: str
    sections: Mapping[str, Section]
    """By title, in their order; those that are known by the title they are known by."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fence: Fence | None = None

    def text(self, title: str) -> str:
        """What stands in a section; empty where there is none."""
        return self.sections[title].text if title in self.sections else ""


def taken_apart(page: Page) -> OlderPage:
    """The parts of a page.

    Raises:
        ConfigError: it is none of the older layout, a part is missing, or one cannot be understood; with file and line.
    """
    heading = next((each for each in page.sections if each.level == 1), None)
    if heading is None or not heading.title.startswith(PREFIX):
        raise page.error_at(
            heading.line if heading else 1,
            f"there is neither a front matter (--- on the first line) nor a heading '# {PREFIX} TITLE'",
            hint="`llmbench usecase new FOLDER` writes an example",
        )
    title = heading.title.removeprefix(PREFIX).strip()
    if not title:
        raise page.error_at(heading.line, f"'# {PREFIX}' has no title")
    sections = _sections(page)
    if not sections.get(GOAL) or not sections[GOAL].text:
        line = sections[GOAL].line if GOAL in sections else heading.line
        near = "" if GOAL in sections else did_you_mean(GOAL, sections)
        raise page.error_at(
            line, f"there is nothing under '## {GOAL}'{near}", hint=f"'## {GOAL}' says what models are to do"
        )
    metadata = _metadata(page, sections[METADATA]) if METADATA in sections else {}
    return OlderPage(page, title, sections, metadata, _fence(page, sections.get(SCHEMA)))


def _sections(page: Page) -> dict[str, Section]:
    known = {title.casefold(): title for title in KNOWN}
    found: dict[str, Section] = {}
    for section in page.sections:
        if section.level != 2:
            continue
        near = get_close_matches(section.title.casefold(), known, n=1, cutoff=_NEAR)
        title = known.get(section.title.casefold(), section.title)
        if near and title not in KNOWN:
            raise page.error_at(section.line, f"'## {title}' is unknown; did you mean '## {known[near[0]]}'?")
        if title in found:
            raise page.error_at(section.line, f"'## {title}' stands there twice, first on line {found[title].line}")
        found[title] = section
    return found


def _metadata(page: Page, section: Section) -> dict[str, str]:
    found: dict[str, str] = {}
    for line, text in section.lines:
        if not text.strip():
            continue
        said = _LINE.fullmatch(text.strip())
        if said is None or not said["value"].strip():
            raise page.error_at(line, f"a line of '## {METADATA}' is to be '- **Key:** value', not {text.strip():.80}")
        if said["key"] in found:
            raise page.error_at(line, f"{said['key']!r} stands there twice")
        found[said["key"]] = said["value"].strip()
    return found


def _fence(page: Page, section: Section | None) -> Fence | None:
    """The first fence of the section, which names the kind of answer; None where an answer is any text."""
    lines = iter(section.lines if section else ())
    for number, text in lines:
        if not (mark := fence_mark(text)):
            continue
        kind = text.strip()[len(mark) :].strip().lower()
        if kind not in {"csv", "json"}:
            raise page.error_at(number, f"the fence of '## {SCHEMA}' is to name csv or json, not {kind or 'nothing'!r}")
        held: list[str] = []
        for _, below in lines:
            if below.strip().startswith(mark):
                return _filled(page, Fence(kind, "\n".join(held), number + 1))
            held.append(below)
        raise page.error_at(number, "the fence is not closed")
    return None


def _filled(page: Page, fence: Fence) -> Fence:
    if not fence.text.strip():
        raise page.error_at(fence.line, f"the fence of '## {SCHEMA}' is empty")
    return fence


def columns_of(page: Page, fence: Fence) -> tuple[str, ...]:
    """The heads of the table in a fence.

    Raises:
        ConfigError: one is empty, or stands there twice; with the line.
    """
    first = fence.text.strip().splitlines()[0]
    heads = tuple(head.strip() for head in next(csv.reader([first])))
    if not all(heads) or len(set(heads)) < len(heads):
        raise page.error_at(fence.line, f"the heads of the table are to be different names, not {first:.80}")
    return heads


def example_of(page: Page, fence: Fence) -> Any:
    """What the JSON in a fence says.

    Raises:
        ConfigError: it is no JSON; with the line.
    """
    try:
        return json.loads(fence.text)
    except json.JSONDecodeError as error:
        raise page.error_at(fence.line + error.lineno - 1, f"the expected output is no JSON: {error.msg}") from None
    except RecursionError:
        raise page.error_at(fence.line, "the expected output is nested too deeply") from None
