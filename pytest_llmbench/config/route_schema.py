"""`routes:` of llmbench.yaml: several models under one name, for judges and chats; who is asked, and who is next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pytest_llmbench.config.strict import CLOSED, Name, Strict, problem

PREFIX = "route/"
"""With what the name of a route begins where a model's name may stand."""
RESERVED = "route"

Choose = Literal["order", "cheapest", "fastest", "healthiest"]
DoubtName = Literal["unusable", "border", "disagreement", "low_confidence", "refusal", "empty", "cut", "hard"]
USUAL_DOUBTS: tuple[DoubtName, ...] = ("unusable", "border", "disagreement", "refusal", "empty", "cut")
"""Those that are seen without asking for more than the answer."""


def _model(name: str) -> str:
    if not name.strip() or len(name) > 1000 or not name.isprintable():
        raise ValueError("must be a model: provider/model, server/model, name:QUANT, or the path of a GGUF file")
    if is_route(name):
        raise ValueError(f"{name!r} is a route: a route holds models alone, so that none leads back to itself")
    return name


def _each_once(names: list[str]) -> list[str]:
    if twice := next((name for at, name in enumerate(names) if name in names[:at]), ""):
        raise ValueError(f"{twice!r} stands in it twice: one that failed is not asked again")
    return names


Models = Annotated[
    list[Annotated[str, AfterValidator(_model)]], Field(min_length=1, max_length=20), AfterValidator(_each_once)
]


class WhenDef(Strict):
    """What a question has to be for a rule: all that is said."""

    use_case: str | None = Field(default=None, min_length=1, description="the use case that is judged (glob)")
    min_tokens: int | None = Field(default=None, ge=0, description="prompt tokens, at least (characters / 4)")
    max_tokens: int | None = Field(default=None, ge=0, description="prompt tokens, at most")
    images: bool | None = Field(default=None, description="whether pictures are shown")
    tools: bool | None = Field(default=None, description="whether tools are offered")
    json_schema: bool | None = Field(default=None, description="whether a JSON schema is asked for")

    @model_validator(mode="after")
    def _says_something(self) -> WhenDef:
        if not self.model_fields_set:
            raise problem(f"says nothing (allowed: {', '.join(type(self).model_fields)})")
        if self.min_tokens is not None and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise problem(f"no prompt has at least {self.min_tokens} and at most {self.max_tokens} tokens")
        return self


class RuleDef(Strict):
    """Other models for some questions."""

    when: WhenDef = Field(description="which questions")
    models: Models = Field(description="in place of the route's models")
    choose: Choose | None = Field(default=None, description="in place of the route's `choose`")


class UnsureDef(Strict):
    """Who is asked where the first answer leaves a doubt; the first one is paid all the same."""

    to: Models = Field(description="stronger models, asked in this order")
    when: list[DoubtName] = Field(
        default=list(USUAL_DOUBTS),
        min_length=1,
        description="what makes a doubt; of a judge other things than of a chat",
    )
    confidence: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="`low_confidence`: below it; exp(mean log-probability of the answer's tokens), where told",
    )
    difficulty: float = Field(
        default=0.5, gt=0, lt=1, description="`hard`: from it on; of the question, before anything is asked"
    )


class RouteDef(Strict):
    """Several models under one name."""

    models: Models = Field(description="who may be asked; where one fails, the next")
    choose: Choose = Field(
        default="order",
        description="who comes first: `order`: as they stand; `cheapest`: by price × expected tokens; `fastest`: by "
        "measured latency; `healthiest`: by failures and waiting",
    )
    rules: list[RuleDef] = Field(default=[], description="other models for some questions; the first that fits counts")
    unsure: UnsureDef | None = Field(default=None, description="who is asked where the first answer leaves a doubt")

    @model_validator(mode="after")
    def _has_stronger_ones(self) -> RouteDef:
        stronger = set(self.unsure.to if self.unsure else ())
        lists: Sequence[tuple[tuple[str | int, ...], list[str]]] = (
            (("models",), self.models),
            *((("rules", at, "models"), rule.models) for at, rule in enumerate(self.rules)),
        )
        for keys, names in lists:
            if both := next((name for name in names if name in stronger), ""):
                raise problem(f"{both!r} stands under `unsure: {{to: ...}}` as well: nobody is asked twice", *keys)
        return self


Routes = Annotated[dict[Name, RouteDef], Field(json_schema_extra=CLOSED)]
ROUTES_TEXT = (
    "several models under one name, `route/NAME`, for judges and chats: who is asked, and who is next; never for a "
    "model under test"
)


def is_route(name: str) -> bool:
    """Whether a model's name is that of a route; a GGUF file may lie in a folder of that name."""
    return name.startswith(PREFIX) and not name.lower().endswith(".gguf")
