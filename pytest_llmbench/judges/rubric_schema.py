"""The keys of a rubric as pydantic models; the published JSON Schema is made from them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from pytest_llmbench.config.strict import Name, Strict, problem
from pytest_llmbench.judges.rubric import Criterion, CriterionKind, Rubric

MAX_TEXT = 20_000
"""Characters of one text: a judge has to read it with every reply."""
MAX_CRITERIA = 50
MAX_GRADE = 100
KINDS: tuple[str, ...] = get_args(CriterionKind)
PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s?%", re.ASCII)

_ID = r"^[a-z0-9][a-z0-9-]{0,59}$"
_GRADE = re.compile(r"\d{1,3}", re.ASCII)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_PERCENT_SLACK = 0.05
_FRACTION_SLACK = 0.001
_MOST = 1e6


def unseen(text: str) -> int:
    """Where the first control character or half character stands; -1: there is none."""
    found = _UNSEEN.search(text)
    return found.start() if found else -1


def _text(text: str) -> str:
    if (at := unseen(text)) >= 0:
        raise ValueError(f"holds the control character {text[at]!a}")
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT:,} characters; a judge reads it with every reply")
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _line(text: str) -> str:
    flat = " ".join(_text(text).split())
    if not flat:
        raise ValueError("must not be empty")
    return flat


def _id(text: str) -> str:
    if not re.fullmatch(_ID, text, re.ASCII):
        raise ValueError(f"{text!r:.80} is no id: lower case letters, digits and '-', at most 60")
    return text


def _weight(value: Any) -> float | str:
    """A number, or a percentage as text."""
    if isinstance(value, str) and not PERCENT.fullmatch(value.strip()):
        raise ValueError(f"{value!r:.80} is no weight: a number above 0 or a percentage (40 %)")
    number = _number(value)
    if number is None or not 0 < number < _MOST:
        raise ValueError("must be a number above 0, or a percentage (40 %)")
    return value.strip() if isinstance(value, str) else number


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        found = PERCENT.fullmatch(value.strip())
        return float(found[1]) if found else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _anchors(value: Any) -> dict[int, str]:
    """Number → what it stands for."""
    items = list(value.items()) if isinstance(value, Mapping) else []
    if not items:
        raise ValueError("needs anchors, what its lowest and its highest grade stand for: {1: cold, 5: warm}")
    found: dict[int, str] = {}
    for key, text in items:
        grade = _grade(key)
        if grade in found:
            raise ValueError(f"the grade {grade} stands there twice")
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"the grade {grade} has no anchor: say in words what it stands for")
        found[grade] = _line(text)
    if len(found) == 1:
        raise ValueError("has one anchor; its lowest and its highest grade need one each")
    return dict(sorted(found.items()))


def _grade(key: Any) -> int:
    text = str(key).strip()
    if isinstance(key, bool) or not _GRADE.fullmatch(text) or int(text) > MAX_GRADE:
        raise ValueError(f"{text[:40]!r} is no grade: grades are whole numbers from 0 to {MAX_GRADE}")
    return int(text)


Text = Annotated[str, AfterValidator(_text)]
Line = Annotated[str, AfterValidator(_line)]
Weight = Annotated[
    float | str,
    BeforeValidator(_weight),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^\s*[0-9.]+\s?%\s*$"}]}
    ),
]
Scale = Annotated[
    dict[int, str],
    BeforeValidator(_anchors),
    WithJsonSchema(
        {
            "type": "object",
            "patternProperties": {"^[0-9]{1,3}$": {"type": "string"}},
            "additionalProperties": False,
            "minProperties": 2,
        }
    ),
]


class CriterionDef(Strict):
    """One thing a judge looks at."""

    id: Annotated[str, AfterValidator(_id), Field(json_schema_extra={"pattern": _ID})] = Field(
        description="how verdicts and reports call it; unique"
    )
    text: Line = Field(description="what is wanted, in words; of violations what must not be there")
    kind: CriterionKind | None = Field(
        default=None,
        description="grade: a number of the scale; yes-no: whether it is so; violations: each breach is named. Where "
        "left out, grade if there is a scale, else yes-no",
    )
    weight: Weight = Field(
        default=1,
        description="how much it counts beside the others: a number, or a percentage of all",
    )
    scale: Scale = Field(
        default={}, description="of a grade: number → what it stands for, at least of the lowest and the highest"
    )
    must: bool = Field(default=False, description="a reply that misses this one fails, whatever its total")


class RubricParts(Strict):
    """What a rubric is made of."""

    name: Name | None = Field(default=None, description="how reports call it")
    title: Text = Field(default="", description="a heading for people")
    text: Text = Field(default="", description="what a judge is told of the task, before the criteria")
    pass_at: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="the weighted total, from 0 to 1, from which a reply passes"
    )
    needs: list[Literal["source", "expected"]] = Field(
        default=[], description="what a judge has to be shown besides question and reply: source, expected"
    )
    scale: Scale = Field(default={}, description="the scale of grades that have none of their own")
    criteria: list[CriterionDef] = Field(
        default=[], max_length=MAX_CRITERIA, description="what is looked at, each by itself"
    )

    @model_validator(mode="after")
    def _holds_together(self) -> RubricParts:
        for refusal in self._refusals():
            raise refusal
        return self

    def _refusals(self) -> Iterator[PydanticCustomError]:
        first: dict[str, int] = {}
        for place, one in enumerate(self.criteria):
            if first.setdefault(one.id, place) != place:
                yield problem(f"{one.id!r} is the id of an earlier criterion, too", "criteria", place, "id")
            if one.kind == "grade" and not (one.scale or self.scale):
                told = f"{one.id!r} is a grade without anchors: say what its lowest and its highest grade stand for"
                yield problem(told, "criteria", place, "scale")
            if one.kind not in {None, "grade"} and one.scale:
                yield problem(f"a scale is for a grade, not for {one.kind}", "criteria", place, "scale")
        yield from _weight_refusals(self.criteria)


class RubricFileDef(RubricParts):
    """A whole rubric, as in a file."""

    model_config = ConfigDict(json_schema_extra={"required": ["criteria"]})

    @model_validator(mode="after")
    def _judges_something(self) -> RubricFileDef:
        if not self.criteria:
            raise problem("the rubric has no criteria: there is nothing to judge by", "criteria")
        return self


def _weight_refusals(criteria: Sequence[CriterionDef]) -> Iterator[PydanticCustomError]:
    """What is wrong with weights that say which share of the whole they are."""
    numbers = [_number(one.weight) or 0.0 for one in criteria]
    percents = [isinstance(one.weight, str) for one in criteria]
    if any(percents):
        if not all(percents):
            place = percents.index(False)
            told = f"{criteria[place].id!r} has no percentage and others have: give all of them one, or none"
            yield problem(told, "criteria", place, "weight")
        elif abs(math.fsum(numbers) - 100) > _PERCENT_SLACK:
            yield problem(f"the weights sum to {math.fsum(numbers):.6g} %, not to 100 %", "criteria")
    elif _are_shares(criteria, numbers) and abs(math.fsum(numbers) - 1) > _FRACTION_SLACK:
        told = f"the weights are below 1 and sum to {math.fsum(numbers):.6g}, not to 1; whole numbers need no sum"
        yield problem(told, "criteria")


def _are_shares(criteria: Sequence[CriterionDef], numbers: Sequence[float]) -> bool:
    """Whether numbers mean parts of a whole: all were given, and each is below 1."""
    given = all("weight" in one.model_fields_set for one in criteria)
    return bool(numbers) and given and max(numbers) < 1


def built(said: RubricParts, name: str, origin: str = "") -> Rubric:
    """The rubric that was said.

    Args:
        said: as validated, with criteria.
        name: what it is called where it does not say so itself.
        origin: the file it stands in.
    """
    return Rubric(
        name=said.name or name,
        criteria=tuple(_criterion(one, said.scale) for one in said.criteria),
        title=said.title,
        text=said.text,
        pass_at=said.pass_at,
        needs=frozenset(said.needs),
        origin=origin,
    )


def _criterion(said: CriterionDef, scale: Mapping[int, str]) -> Criterion:
    is_grade = said.kind == "grade" or (said.kind is None and bool(said.scale or scale))
    kind: CriterionKind = "grade" if is_grade else said.kind or "yes-no"
    weight = _number(said.weight) or 1.0
    return Criterion(said.id, said.text, kind, weight, (said.scale or scale) if is_grade else {}, said.must)
