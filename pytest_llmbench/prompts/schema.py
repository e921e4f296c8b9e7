"""The keys of a use case's `prompt:` as pydantic models; the published JSON Schema is made from them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pytest_llmbench.config import fields
from pytest_llmbench.config.strict import CLOSED, Name, Strict, problem
from pytest_llmbench.prompts.examples import Choose
from pytest_llmbench.prompts.prompt import BASE, Mode

_OURS = frozenset({"input", "id", "examples", "expected"})

Glob = Annotated[str, AfterValidator(fields.model_pattern)]


def _items_of_list(value: Any) -> Any:
    """A list of examples is shown as it is."""
    return {"items": value, "count": max(1, len(value)), "choose": "first"} if isinstance(value, list) else value


def _list_too(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `_items_of_list` takes."""
    schema["anyOf"] = [*schema["anyOf"], {"type": "array", "items": ExampleDef.model_json_schema()}]


class TextDef(Strict):
    """What models are told."""

    template: str | None = Field(default=None, description="the message, with {{input}} and other variables")
    file: str | None = Field(default=None, description="the path of a text that holds the template")
    system: str | None = Field(
        default=None, description="the system message; where left out, one that tells to stay within the source"
    )

    @model_validator(mode="after")
    def _says_it_once(self) -> TextDef:
        if self.template is not None and self.file is not None:
            raise problem("the template stands here or in a file, not both", "file")
        return self


class VariantDef(TextDef):
    """Another way of asking; what it does not say is as in the prompt."""

    models: list[Glob] = Field(
        default=[], description="globs of the models it was written for; any model where left out"
    )


class ExampleDef(Strict):
    """A solved example."""

    input: str = Field(default="", description="what the user asks")
    expected: Any = Field(description="the answer")
    columns: dict[str, Any] = Field(default={}, description="values of the template's other variables")


class ExamplesDef(Strict):
    """Few-shot examples, and how they are chosen for each sample."""

    pool: str | None = Field(
        default=None,
        description="data (also where left out): the use case's own samples, never the one that is asked; or the path "
        "of a file with rows",
    )
    items: list[ExampleDef] = Field(default=[], description="examples written out, in place of a pool")
    count: int = Field(default=3, ge=1, le=50, description="how many are shown")
    choose: Choose = Field(
        default="similar",
        description="similar: those with the most words in common; same: those with the sample's own value in the "
        "column `by`; each: one of each value of `by`, in turn; first: the first",
    )
    by: str = Field(default="", description="for same and each: a column; for each also expected, or expected.KEY")

    @model_validator(mode="after")
    def _fits(self) -> ExamplesDef:
        if self.items and self.pool is not None:
            raise problem("the examples are written out here or come from a pool, not both", "pool")
        if (self.choose in {"same", "each"}) != bool(self.by):
            raise problem("belongs to `choose: same` and `choose: each`, which need it", "by")
        if self.choose == "same" and self.by.split(".")[0] == "expected":
            raise problem("examples with the sample's own answer would tell it; use `choose: each`", "by")
        return self


class PromptDef(TextDef):
    """How samples are asked."""

    variables: dict[Name, Any] = Field(
        default={}, json_schema_extra=CLOSED, description="values for {{name}} in the template and the system message"
    )
    examples: Annotated[ExamplesDef | None, BeforeValidator(_items_of_list), Field(json_schema_extra=_list_too)] = (
        Field(default=None, description="few-shot examples; a list is shown as it is")
    )
    variants: dict[Name, VariantDef] = Field(
        default={}, json_schema_extra=CLOSED, description="other ways of asking, by name"
    )
    mode: Mode = Field(
        default="fair", description="fair: all models are asked the same; optimized: each model by its best variant"
    )

    @model_validator(mode="after")
    def _keeps_our_names(self) -> PromptDef:
        if taken := sorted(_OURS & self.variables.keys()):
            raise problem(f"{taken[0]!r} cannot be a variable of yours: it has a meaning of its own", "variables")
        if BASE in self.variants:
            raise problem(f"{BASE!r} is what the prompt itself is called; take another name", "variants")
        return self
