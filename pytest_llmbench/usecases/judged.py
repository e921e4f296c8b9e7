"""What a use case says of judging: its rubric, and who goes by it."""

from __future__ import annotations

import re
from typing import Any

from pytest_llmbench.config import confined
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.judges import choosing, rubric_reading
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.rubric_schema import built
from pytest_llmbench.usecases import older_page
from pytest_llmbench.usecases.front_matter import RequestDef, UseCaseDef
from pytest_llmbench.usecases.older_page import OlderPage
from pytest_llmbench.usecases.page import Page, Section

_CRITERION = re.compile(r"(?:[-*+]|\d{1,3}[.)])[ \t]+(\S.*)", re.ASCII)


def rubric_of(said: UseCaseDef, found: Page, called: str) -> Rubric | None:
    """The rubric of a front matter.

    Args:
        said: the front matter.
        found: the page that it stands on.
        called: the rubric's name where it says none itself.

    Raises:
        ConfigError: a file or a text is no rubric; with file and line.
    """
    if said.rubric is None:
        return None
    if said.rubric.file:
        return _in_file(said.rubric.file, found)
    if said.rubric.criteria:
        return built(said.rubric, called, found.name)
    where = f"{found.name}:{found.line(('rubric',))}: rubric"
    return choosing.of_text(said.rubric.text, where, called=called)


def _in_file(text: str, found: Page) -> Rubric:
    try:
        file = confined.file_inside(found.file.parent, text)
    except ValueError as error:
        raise found.error(("rubric", "file"), str(error)) from None
    return rubric_reading.read_file(file, name=shown(file))


def judging_of(said: UseCaseDef) -> Judging | None:
    """Who judges, of a front matter; None where it names nobody."""
    if said.judge:
        return Judging((said.judge.model,), binding=said.judge.binding, request=_judge_request(said.judge.request))
    if said.panel:
        panel = said.panel
        return Judging(tuple(panel.models), panel.vote, panel.binding, _judge_request(panel.request))
    return None


def _judge_request(said: RequestDef) -> dict[str, Any]:
    """As for `Model.ask`; how long a verdict may be follows from its form, where nobody says it."""
    asked = request_of(said)
    return {name: value for name, value in asked.items() if name != "max_tokens" or value is not None}


def request_of(said: RequestDef) -> dict[str, Any]:
    """As for `Model.ask`."""
    asked = said.model_dump()
    return {**asked.pop("body"), **asked}


def rubric_of_older(said: OlderPage, name: str) -> Rubric | None:
    """The rubric of a page of the older layout: each item of the quality criteria, else all of them as one."""
    criteria, notes = said.sections.get(older_page.CRITERIA), said.text(older_page.NOTES)
    items = _items(criteria) if criteria else []
    wanted = items or [text for text in (said.text(older_page.CRITERIA) or notes,) if text]
    if not wanted:
        return None
    return Rubric(
        name=name,
        criteria=tuple(Criterion(f"criterion-{n}", text, "yes-no") for n, text in enumerate(wanted, start=1)),
        title=said.title,
        text=notes if notes != wanted[0] else "",
        origin=said.page.name,
    )


def _items(section: Section) -> list[str]:
    """The items of a list that is all that stands there; none where there is anything else."""
    found: list[str] = []
    for _, line in section.lines:
        if item := _CRITERION.fullmatch(line.rstrip()):
            found.append(item[1])
        elif found and line.startswith((" ", "\t")) and line.strip():
            found[-1] = f"{found[-1]} {line.strip()}"
        elif line.strip():
            return []
    return found
