"""The shape of a use case's front matter as pydantic models; the published JSON Schema is made from them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pytest_llmbench.chunking.schema import ChunkingDef
from pytest_llmbench.config import Threshold
from pytest_llmbench.config.strict import Name, Strict, problem
from pytest_llmbench.prompts import PromptDef
from pytest_llmbench.sampling import SamplingDef

REDUCERS = ("mean", "median", "min", "max", "majority")
"""How the scores of several trials become one; beside them `pass@K` and `pass^K`."""

_AT_K = re.compile(r"pass[@^]([1-9]\d{0,2})", re.ASCII)
_MAX_REPEATS = 1000


def _or_text(key: str) -> BeforeValidator:
    """A plain text stands for a mapping with this one key."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _text_too(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `_or_text` takes."""
    rest: dict[str, Any] = {key: schema.pop(key) for key in ("description", "default") if key in schema}
    choices = schema.pop("anyOf", None) or [dict(schema)]
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, *choices]
    schema.update(rest)


class OutputDef(Strict):
    """What the model is to answer with."""

    kind: Literal["text", "json", "csv"] | None = Field(
        default=None, description="text, json or csv; follows from schema and columns where left out"
    )
    json_schema: str | dict[str, Any] | None = Field(
        default=None, alias="schema", description="a JSON Schema, or the path of one, for json"
    )
    columns: list[str] = Field(default=[], description="the heads of the table, for csv")
    enforced: bool = Field(default=False, description="ask the server to keep to the schema, where it can")

    @model_validator(mode="after")
    def _fits_together(self) -> OutputDef:
        if self.json_schema is not None and self.kind not in {None, "json"}:
            raise problem(f"a schema is for json, not for {self.kind}", "schema")
        if self.columns and self.kind not in {None, "csv"}:
            raise problem(f"columns are for csv, not for {self.kind}", "columns")
        if self.json_schema is not None and self.columns:
            raise problem("there is a schema already: an answer is JSON or CSV", "columns")
        if self.enforced and self.json_schema is None:
            raise problem("needs a schema", "enforced")
        if len(set(self.columns)) < len(self.columns):
            raise problem("a column stands there twice", "columns")
        return self


class RubricDef(Strict):
    """What a judge goes by."""

    text: str = Field(default="", description="the criteria")
    file: str = Field(default="", description="the path of a text that holds them")

    @model_validator(mode="after")
    def _is_one(self) -> RubricDef:
        if bool(self.text.strip()) == bool(self.file):
            raise ValueError("needs exactly one of text and file")
        return self


class DataDef(Strict):
    """Where the samples come from, and which columns mean what."""

    files: str = Field(
        default="data",
        min_length=1,
        description="a folder, a file or a glob below the use case (data/*.jsonl), or hf:NAME, a Hugging Face dataset",
    )
    each: Literal["row", "file"] | None = Field(
        default=None,
        description="whether a row or a whole file is a sample; where left out, rows of JSONL, CSV, YAML and Parquet, "
        "of JSON files that hold a list, and else files",
    )
    items: str = Field(default="", description="of JSON files that hold an object: the key of the list of samples")
    input: str | None = Field(
        default=None, description="column with the user's message; input where left out, if there is one"
    )
    expected: str | None = Field(
        default=None, description="column with the expected answer; expected where left out, if there is one"
    )
    id: str | None = Field(
        default=None, description="column that is unique; id where left out, if there is one, else the row's content"
    )
    source: str | None = Field(
        default=None, description="column with the document that the answer must stay within; else the user's message"
    )
    media: list[str] = Field(default=[], description="columns whose cells name a picture or sound file beside the data")
    slices: list[str] = Field(default=[], description="columns by whose values results are told apart in reports")
    ground_truth: str = Field(
        default="ground-truth",
        min_length=1,
        description="a folder or file with the expected answers: files by the name of the sample, rows by its id",
    )


class RequestDef(Strict):
    """How models are asked."""

    max_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, description="the longest answer, in tokens")
    temperature: Annotated[float, Field(ge=0, le=5)] | None = Field(
        default=0.0, description="0 makes most servers deterministic; null: none is sent"
    )
    seed: int | None = Field(default=None, description="for servers that take one")
    stream: bool = Field(default=True, description="false gives no time to first token")
    body: dict[str, Any] = Field(default={}, description="further fields of the request, as the server names them")

    @model_validator(mode="after")
    def _body_is_further(self) -> RequestDef:
        for key in ("model", "messages", "stream_options", *type(self).model_fields):
            if key in self.body:
                raise problem(f"{key} cannot stand here: it is set by us or beside `body:`", "body")
        return self


def _reducer(text: str) -> str:
    if text not in REDUCERS and not _AT_K.fullmatch(text):
        raise ValueError(f"{text!r} is no reducer (allowed: {', '.join(REDUCERS)}, pass@K, pass^K)")
    return text


def _distinct(names: list[str]) -> list[str]:
    for name in names:
        if not name.strip() or not name.isprintable() or names.count(name) > 1:
            raise ValueError(f"{name!r} is empty, not printable, or stands there twice")
    return names


Names = Annotated[list[str], AfterValidator(_distinct)]


class UseCaseDef(Strict):
    """The front matter of a USE-CASE.md."""

    name: Name | None = Field(
        default=None, description="how tests and reports call it; the folder's name where left out"
    )
    description: str = Field(default="", description="what it is about; the prose's first paragraph where left out")
    prompt: Annotated[PromptDef, _or_text("template"), Field(json_schema_extra=_text_too)] = Field(
        default=PromptDef(), description="how a sample is asked; a text is the template"
    )
    output: Annotated[OutputDef, _or_text("kind"), Field(json_schema_extra=_text_too)] = Field(
        default=OutputDef(), description="what the model is to answer with; a text is the kind"
    )
    models: Names = Field(default=[], description="models to ask: name:QUANT or provider/name")
    validators: list[Any] = Field(
        default=[], description="what scores a reply, see [validators](validators.md): a name, or name: argument"
    )
    rubric: Annotated[RubricDef | None, _or_text("text"), Field(json_schema_extra=_text_too)] = Field(
        default=None, description="what a judge goes by; a text is the criteria"
    )
    judge: str | None = Field(default=None, min_length=1, description="the model that judges")
    panel: Names = Field(default=[], description="models that judge together, in place of one judge")
    repeats: int = Field(default=1, ge=1, le=_MAX_REPEATS, description="how often each sample is asked")
    reducer: Annotated[str, AfterValidator(_reducer)] = Field(
        default="mean",
        description=f"how the scores of the repeats become one: {', '.join(REDUCERS)}, pass@K or pass^K",
        json_schema_extra={"pattern": rf"^({'|'.join(REDUCERS)}|pass[@^][1-9][0-9]*)$"},
    )
    gates: list[Threshold] = Field(default=[], description="limits that decide the exit status, as in llmbench.yaml")
    tags: Names = Field(default=[], description="words to choose use cases by and to tell results apart")
    sampling: SamplingDef | None = Field(default=None, description="which of the samples are asked")
    chunking: ChunkingDef | None = Field(default=None, description="how inputs that are too long are cut")
    data: Annotated[DataDef, _or_text("files"), Field(json_schema_extra=_text_too)] = Field(
        default=DataDef(), description="where the samples come from; a text is the files"
    )
    request: RequestDef = Field(default=RequestDef(), description="how models are asked")

    @model_validator(mode="after")
    def _fits_together(self) -> UseCaseDef:
        if self.judge and self.panel:
            raise problem("there is a judge already: either one judge or a panel", "panel")
        if len(self.panel) == 1:
            raise problem("a panel is two models or more; one is a judge", "panel")
        if (self.judge or self.panel) and self.rubric is None:
            raise problem("needs a rubric to go by", "judge" if self.judge else "panel")
        k = _AT_K.fullmatch(self.reducer)
        if k and int(k[1]) > self.repeats:
            raise problem(f"{self.reducer} needs {k[1]} repeats or more, not {self.repeats}", "reducer")
        return self
