"""The shape of a use case's front matter as pydantic models; the published JSON Schema is made from them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pytest_llmbench.chunking.schema import ChunkingDef
from pytest_llmbench.config.gate_schema import GateItem
from pytest_llmbench.config.strict import Name, Strict, problem
from pytest_llmbench.corruption.definition import CorruptionDef, kinds_of_list, list_too
from pytest_llmbench.judges.judging import Vote
from pytest_llmbench.judges.rubric_schema import RubricParts
from pytest_llmbench.prompts import PromptDef
from pytest_llmbench.sampling import SamplingDef

REDUCERS = ("mean", "median", "min", "max", "majority")
"""How the scores of several trials become one; beside them `pass@K` and `pass^K`."""

_AT_K = re.compile(r"pass[@^]([1-9]\d{0,2})", re.ASCII)
_MAX_REPEATS = 1000


def _or_text(key: str) -> BeforeValidator:
    """A plain text stands for a mapping with this one key."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _listed(value: Any) -> Any:
    """A plain text stands for a list of it."""
    return [value] if isinstance(value, str) else value


def _item_too(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `_listed` takes."""
    listed: dict[str, Any] = {key: schema.pop(key) for key in ("type", "items")}
    schema["anyOf"] = [listed["items"], listed]


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


class RubricDef(RubricParts):
    """What a judge goes by: criteria, or where they stand."""

    file: str = Field(default="", description="the path of a rubric in Markdown or YAML, in place of all else")

    @model_validator(mode="after")
    def _says_what_by(self) -> RubricDef:
        said = self.model_fields_set
        if self.file and said != {"file"}:
            raise problem(f"all is in the file: {', '.join(sorted(said - {'file'}))} cannot stand beside it", "file")
        if not self.file and not self.criteria and (said != {"text"} or not self.text):
            raise problem("the rubric has no criteria: list them, name a file, or write a text", "criteria")
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
    slices: list[str] = Field(
        default=[],
        description="columns by whose values results are told apart in reports; samples that share a `document` tell "
        "less than as many of different ones, and intervals say so",
    )
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
Stop = Literal["repeats", "samples"]
"""What is left out once nothing that it may still say changes an answer."""


class JudgeDef(Strict):
    """A model that judges."""

    model: str = Field(min_length=1, description="name:QUANT or provider/name")
    binding: bool = Field(
        default=False, description="whether its scores decide though no calibration shows that they can be trusted"
    )
    request: RequestDef = Field(default=RequestDef(), description="how it is asked")


class PanelDef(Strict):
    """Models that judge together."""

    models: Names = Field(description="two or more: name:QUANT or provider/name")
    vote: Vote = Field(
        default="majority",
        description="majority: more than half of all judges, so that a silent one lowers no bar; mean: their mean "
        "total; veto: all have to pass it",
    )
    binding: bool = Field(
        default=False, description="whether its scores decide though no calibration shows that they can be trusted"
    )
    request: RequestDef = Field(default=RequestDef(), description="how they are asked")

    @model_validator(mode="after")
    def _is_several(self) -> PanelDef:
        if len(self.models) < 2:
            raise problem("a panel is two models or more; one is a judge")
        return self


def _models_of_list(value: Any) -> Any:
    """A list of models is a panel that votes by majority."""
    return {"models": value} if isinstance(value, list) else value


def _models_too(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `_models_of_list` takes."""
    schema["anyOf"] = [{"type": "array", "items": {"type": "string"}, "minItems": 2}, *schema["anyOf"]]


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
        default=None,
        description="what a judge goes by, see [rubrics](rubrics.md); a text is the name of a shipped one, or the "
        "rubric itself",
    )
    judge: Annotated[JudgeDef | None, _or_text("model"), Field(json_schema_extra=_text_too)] = Field(
        default=None, description="the model that judges; a text is its name"
    )
    panel: Annotated[PanelDef | None, BeforeValidator(_models_of_list), Field(json_schema_extra=_models_too)] = Field(
        default=None, description="models that judge together, in place of one judge; a list is their names"
    )
    repeats: int = Field(default=1, ge=1, le=_MAX_REPEATS, description="how often each sample is asked")
    reducer: Annotated[str, AfterValidator(_reducer)] = Field(
        default="mean",
        description=f"how the scores of the repeats become one: {', '.join(REDUCERS)}, pass@K or pass^K",
        json_schema_extra={"pattern": rf"^({'|'.join(REDUCERS)}|pass[@^][1-9][0-9]*)$"},
    )
    stop: Annotated[list[Stop], BeforeValidator(_listed), Field(json_schema_extra=_item_too)] = Field(
        default=[],
        description="what is not asked once it could change nothing: repeats (of a sample whose verdict is certain), "
        "samples (once the gates' answer on a model is)",
    )
    gates: list[GateItem] = Field(default=[], description="rules that decide the exit status, as in llmbench.yaml")
    tags: Names = Field(default=[], description="words to choose use cases by and to tell results apart")
    sampling: SamplingDef | None = Field(default=None, description="which of the samples are asked")
    chunking: ChunkingDef | None = Field(default=None, description="how inputs that are too long are cut")
    corruption: Annotated[CorruptionDef | None, BeforeValidator(kinds_of_list), Field(json_schema_extra=list_too)] = (
        Field(default=None, description="samples asked again with damaged input; a list is the kinds")
    )
    data: Annotated[DataDef, _or_text("files"), Field(json_schema_extra=_text_too)] = Field(
        default=DataDef(), description="where the samples come from; a text is the files"
    )
    request: RequestDef = Field(default=RequestDef(), description="how models are asked")

    @model_validator(mode="after")
    def _fits_together(self) -> UseCaseDef:
        if self.judge and self.panel:
            raise problem("there is a judge already: either one judge or a panel", "panel")
        if (self.judge or self.panel) and self.rubric is None:
            raise problem("needs a rubric to go by", "judge" if self.judge else "panel")
        k = _AT_K.fullmatch(self.reducer)
        if k and int(k[1]) > self.repeats:
            raise problem(f"{self.reducer} needs {k[1]} repeats or more, not {self.repeats}", "reducer")
        if k and "repeats" in self.stop:
            raise problem(f"{self.reducer} is estimated from all repeats: none can be left out", "stop")
        return self
