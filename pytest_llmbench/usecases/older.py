"""Use cases in the older page layout, as the same thing that a front matter makes.

What a model is told: the goal, the sections that nobody else reads, and the form of the answer. Notes for evaluators
and quality criteria are for judges; the evaluation script is kept and never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.prompts.template import Template
from pytest_llmbench.usecases import by_example, judged, older_page
from pytest_llmbench.usecases.duration_rules import limits_in
from pytest_llmbench.usecases.older_data import MATCH, NO_MATCH, OlderData, PatternData, with_patterns
from pytest_llmbench.usecases.older_page import DURATIONS, GOAL, NOT_TOLD, SCHEMA, OlderPage
from pytest_llmbench.usecases.output import Output, schema_faults
from pytest_llmbench.usecases.page import Page, as_name
from pytest_llmbench.usecases.usecase import UseCase
from pytest_llmbench.validators.declared import declared_all

_TEMPLATE = Template("{{task}}\n\n## Input\n\n{{input}}")
_FORMS = {
    "json": "Answer with JSON of this form, and nothing else.",
    "csv": "Answer with CSV of this form, its heads on the first line, and nothing else.",
}


def use_case(page: Page) -> UseCase:
    """The use case of an older page.

    Raises:
        ConfigError: the page is none of the older layout, or a part cannot be understood; with file and line.
        UsageError: the data cannot be read: validators follow from what they hold.
    """
    said = older_page.taken_apart(page)
    output = _output(said)
    data = with_patterns(OlderData(page, said.fence.kind if said.fence else ""))
    name = as_name(said.metadata["Name"]) if "Name" in said.metadata else page.folder_name
    return UseCase(
        name=name,
        title=said.title,
        description=_first_paragraph(said.text(GOAL)),
        page=page,
        prompt=Prompt(template=_TEMPLATE, variables={"task": _task(said)}),
        output=output,
        validators=declared_all(_validators(said, output, data), _unexpected(page), page.file.parent),
        rubric=judged.rubric_of_older(said, name),
        tags=_tags(said.metadata),
        data=data,
        facts=_facts(said),
        is_older=True,
    )


def _output(said: OlderPage) -> Output:
    if said.fence is None:
        return Output()
    if said.fence.kind == "csv":
        return Output("csv", columns=older_page.columns_of(said.page, said.fence))
    shown = older_page.example_of(said.page, said.fence)
    if not by_example.is_schema(shown):
        schema = by_example.schema_of(shown)
        return Output("json", schema, by_example.of_truths(schema))
    for path, reason in schema_faults(shown):
        raise said.page.error_at(said.fence.line, f"{'.'.join(map(str, path))}: {reason}" if path else reason)
    return Output("json", shown, shown)


def _task(said: OlderPage) -> str:
    parts = [said.text(GOAL)]
    parts += [
        f"## {title}\n\n{each.text}" for title, each in said.sections.items() if title not in NOT_TOLD and each.text
    ]
    if said.text(SCHEMA):
        form = _FORMS[said.fence.kind] if said.fence else ""
        parts.append(f"## {SCHEMA}\n\n{said.text(SCHEMA)}\n\n{form}".rstrip())
    return "\n\n".join(parts)


def _validators(said: OlderPage, output: Output, data: OlderData | PatternData) -> list[Any]:
    """What the form of the answers suggests, and the data."""
    limits = limits_in(said.text(DURATIONS))
    named = {"at_least": limits.shortest_s, "at_most": limits.longest_s}
    each = {key: value for key, value in named.items() if value is not None}
    timed = [{"durations": {"each": each}}] if each else []
    if output.kind == "json":
        return ["json-schema", *_compared(data), *timed]
    return ["csv" if output.kind == "csv" else "exact", *timed]


def _compared(data: OlderData | PatternData) -> list[Any]:
    """How replies are compared with expected answers: patterns are tried on their examples, all else field by field."""
    if isinstance(data, PatternData):
        return [{"regex-on-examples": {"match": MATCH, "no_match": NO_MATCH, "whole": True}, "field": data.field}]
    return ["json-fields"]


def _tags(metadata: Mapping[str, str]) -> tuple[str, ...]:
    tags = [f"difficulty={_word(metadata['Difficulty'])}"] if "Difficulty" in metadata else []
    capabilities = re.split(r"[+,;]", metadata.get("Primary Capability", ""))
    return (*tags, *dict.fromkeys(f"capability={_word(each)}" for each in capabilities if each.strip()))


def _word(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text.strip().lower()).strip("-")


def _facts(said: OlderPage) -> dict[str, str]:
    kept = (older_page.NOTES, older_page.CRITERIA, older_page.DURATIONS, older_page.SCRIPT)
    return {**said.metadata, **{title: said.text(title) for title in kept if said.text(title)}}


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())


def _unexpected(page: Page) -> Any:
    """No key of a front matter is to blame here."""

    def refused(_path: object, message: str) -> ConfigError:
        return page.error_at(1, message)

    return refused
