"""Validators of replies that are to be JSON: that they are, equal to the answer, and of a schema."""

from __future__ import annotations

import json
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.json_reply import reply_json
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.schemas import Schema, schema_at
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, ran, unscored, verdict
from pytest_llmbench.validators.structure import same_json
from pytest_llmbench.validators.verdict import shortened

NO_SCHEMA = "there is no schema: neither here nor as the use case's output"
_PROBLEMS = 20


def _is_json(argument: Any, where: Where) -> Scorer:
    fence = keys_of(argument, where, {"fence": bool}).get("fence", True)

    def judge(material: Material) -> Score:
        try:
            reply_json(material.answer, fence=fence)
        except ValueError as error:
            return verdict(passed=False, reason=f"the reply {error}")
        return verdict(passed=True, reason="the reply is JSON")

    return Plain(judge)


def _json(argument: Any, _where: Where) -> Scorer:
    def judge(material: Material) -> Score:
        wanted = material.expected if argument is None else argument
        if wanted is None:
            return unscored(NOTHING_EXPECTED)
        try:
            given = reply_json(material.answer)
        except ValueError as error:
            return verdict(passed=False, reason=f"the reply {error}")
        wanted = truth_of(wanted)
        if same_json(given, wanted):
            return verdict(passed=True, reason="the expected JSON")
        return verdict(passed=False, reason=f"{shortened(as_text(given))} is not {shortened(as_text(wanted))}")

    def faults(material: Material) -> list[str]:
        if argument is not None:
            return []
        return truth_defects(material)

    return Plain(judge, faults)


def truth_of(expected: Any) -> Any:
    """An expected answer as JSON; one that is text is parsed, where it is JSON."""
    if not isinstance(expected, str):
        return expected
    try:
        return strict_json.parse(expected)
    except ValueError:
        return expected


def truth_defects(material: Material) -> list[str]:
    """Whether there is an expected answer, and whether a text that looks like JSON is it."""
    expected = material.expected
    if expected is None:
        return [NOTHING_EXPECTED]
    if isinstance(expected, str) and expected.lstrip()[:1] in {"{", "["}:
        try:
            strict_json.parse(expected)
        except ValueError as error:
            return [f"the expected answer is not JSON: {error}"]
    return []


def _json_schema(argument: Any, where: Where) -> Scorer:
    own = None if argument is None else schema_at(_loaded(argument, where), where)

    def judge(material: Material) -> Score:
        schema = own or _of_use_case(material)
        if schema is None:
            return unscored(NO_SCHEMA)
        try:
            value = reply_json(material.answer)
        except ValueError as error:
            return ran(verdict(passed=False, reason=f"the reply {error}"))
        problems = schema.problems(value, _PROBLEMS)
        return ran(verdict(not problems, "; ".join(problems[:3]) or "as its schema says", problems=problems))

    def faults(material: Material) -> list[str]:
        schema = own or _of_use_case(material)
        if schema is None:
            return [NO_SCHEMA]
        if material.expected is None:
            return []
        problems = schema.problems(truth_of(material.expected), _PROBLEMS)
        return [
            *truth_defects(material),
            *(f"the expected answer is not as the schema says: {one}" for one in problems),
        ]

    return Plain(judge, faults)


def _loaded(argument: Any, where: Where) -> Any:
    """A schema that stands there, or in a file of the folder."""
    if not isinstance(argument, str):
        return argument
    try:
        return strict_json.parse(where.text_of(argument))
    except ValueError as error:
        raise where.error(f"{argument!r} is not JSON: {error}") from error


def _of_use_case(material: Material) -> Schema | None:
    return None if material.schema is None else Schema(json.dumps(material.schema))


TABLE = (
    Validator(
        "is-json",
        "JSON and nothing else; one Markdown fence is allowed, unless `fence: false`",
        _is_json,
        {"fence": False},
    ),
    Validator(
        "json",
        "JSON equal to the expected, whatever the order of keys",
        _json,
        {"queue": "billing"},
        demands_truth=True,
    ),
    Validator(
        "json-schema",
        "JSON of this schema: written here, named as a file, or the use case's output schema",
        _json_schema,
        {"type": "object", "required": ["queue"]},
    ),
)
