"""How a gate is written: a rule over a metric, as a sentence or as a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pytest_llmbench.config import fields
from pytest_llmbench.config.margins import EXAMPLES, Margin, MarginKind, margin
from pytest_llmbench.config.strict import Strict, problem
from pytest_llmbench.config.strict_yaml import dotted
from pytest_llmbench.config.validating import placed
from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.metrics import METRICS, OF_USE_CASES

MetricName = Annotated[str, AfterValidator(fields.metric), Field(json_schema_extra={"enum": list(METRICS)})]
Statistic = Literal["p50", "p95", "p99", "median", "mean", "min", "max"]

_STATISTICS = ("p50", "p95", "p99", "median", "mean", "min", "max")
_SENTENCE = re.compile(
    r"(?P<metric>\w+)(?:\s+(?P<statistic>\w+))?\s*(?P<sign>[<>=≤≥]+)\s*(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<percent>%?)"
)
_SIGNS = {">=": "min", "≥": "min", "<=": "max", "≤": "max"}
_BEYOND = ("itl_cv", "accuracy_change", "kept_share")
"""Shares that may be above 1 or below 0."""
_FORMS = '"pass_rate >= 0.8", "ttft_s p95 <= 0.5", or {ttft_s: 10%} against the baseline'


class Gate(Strict):
    """A gate: a limit for one statistic of one metric, or how much worse than the baseline it may be.

    Exactly one of `min`, `max` and `regression`. In short: `pass_rate >= 0.8`, `ttft_s p95 <= 0.5`, `{ttft_s: 10%}`.
    """

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["min"]}, {"required": ["max"]}, {"required": ["regression"]}]}
    )
    metric: MetricName = Field(description="what is measured, see the metrics reference")
    statistic: Statistic = Field(default="p50", description="which statistic of its values")
    min: float | None = Field(default=None, description="the gate fails below this")
    max: float | None = Field(default=None, description="the gate fails above this")
    regression: str | float | None = Field(
        default=None, description=f"how much worse than the baseline it may be: {EXAMPLES}"
    )
    by: Literal["bound", "value"] = Field(
        default="bound",
        description="what has to keep the limit: the near end of the 95 % interval (bound), or the value alone",
    )
    model: str = Field(default="*", min_length=1, description="models it is for (glob): smollm2-*, *:Q4_1")
    profile: str = Field(default="*", min_length=1, description="profiles it is for (glob); of rates the use cases")

    @model_validator(mode="after")
    def _fits_together(self) -> Gate:
        given = [name for name in ("min", "max", "regression") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise ValueError(f"needs exactly one of min, max and regression, not {told}")
        if self.statistic != "p50" and (self.metric in OF_USE_CASES or self.regression is not None):
            what = self.metric if self.metric in OF_USE_CASES else "a regression"
            raise problem(f"{what} has no percentiles: leave the statistic out", "statistic")
        if self.regression is not None:
            self._check_margin()
        else:
            self._check_limit()
        return self

    def _check_limit(self) -> None:
        name, limit = ("max", self.max) if self.min is None else ("min", self.min)
        if self._is_of_a_whole and limit is not None and not 0 <= limit <= 1:
            raise problem(f"{self.metric} lies between 0 and 1: write 0.8, or 80% in a sentence, not {limit:g}", name)

    @property
    def _is_of_a_whole(self) -> bool:
        return METRICS[self.metric].unit == "share" and self.metric not in _BEYOND

    def _check_margin(self) -> None:
        if self.by == "value":
            raise problem("is for min and max; a regression is always held against its interval", "by")
        try:
            found = self.margin
        except ValueError as error:
            raise problem(str(error), "regression") from error
        if found.kind is MarginKind.POINTS and METRICS[self.metric].unit != "share":
            raise problem(f"points are of rates and scores; of {self.metric} write 10%", "regression")
        if self._is_of_a_whole and found.kind is not MarginKind.RELATIVE and found.amount >= 1:
            raise problem(f"{self.metric} lies between 0 and 1: write 3 points, or 0.03, not {found}", "regression")

    @property
    def margin(self) -> Margin:
        """Of a regression.

        Raises:
            ValueError: it is none.
        """
        return margin("" if self.regression is None else self.regression)


def _spelled(value: Any) -> Any:
    """A gate's mapping, from whatever short form it is written in."""
    if isinstance(value, str):
        return _of_sentence(value)
    if isinstance(value, dict) and "metric" not in value:
        return _of_margin(value)
    return value


def _of_sentence(text: str) -> dict[str, Any]:
    found = _SENTENCE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r:.80} is no gate: write {_FORMS}")
    if found["sign"] not in _SIGNS:
        raise ValueError(f"{found['sign']!r} in {text!r:.80}: a gate says >= or <=")
    if found["statistic"] and found["statistic"] not in _STATISTICS:
        near = did_you_mean(found["statistic"], _STATISTICS)
        raise ValueError(f"{found['statistic']!r} is no statistic{near} (allowed: {', '.join(_STATISTICS)})")
    metric = fields.metric(found["metric"])
    if found["percent"] and METRICS[metric].unit != "share":
        raise ValueError(f"{metric} is in {METRICS[metric].unit or 'no unit'}, not in %: write a number")
    try:
        number = float(found["number"]) / (100 if found["percent"] else 1)
    except ValueError:
        raise ValueError(f"{found['number']!r} in {text!r:.80} is no number") from None
    said = {"metric": metric, _SIGNS[found["sign"]]: number}
    return {**said, "statistic": found["statistic"]} if found["statistic"] else said


def _of_margin(value: Mapping[str, Any]) -> dict[str, Any]:
    """`{ttft_s: 10%, model: x}`: the one key that is none of a gate's own is a metric."""
    own = [name for name in Gate.model_fields if name != "metric"]
    metrics = [key for key in value if key not in own]
    unknown = next((key for key in metrics if key not in METRICS), None)
    if unknown is not None:
        near = did_you_mean(str(unknown), [*METRICS, *Gate.model_fields])
        raise problem(f"neither a metric nor a key of a gate{near}", unknown)
    if len(metrics) != 1 or value.keys() & {"min", "max", "regression"}:
        raise ValueError(f"says no metric, or several: write {_FORMS}, or {{metric: pass_rate, min: 0.8}}")
    [metric] = metrics
    if value[metric] is None:
        raise problem(f"says no margin: write {EXAMPLES}", metric)
    rest = {key: each for key, each in value.items() if key != metric}
    return {"metric": metric, "regression": value[metric], **rest}


def _forms(schema: dict[str, Any]) -> None:
    """The JSON Schema of what `_spelled` takes."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [
        {"type": "string", "description": "metric, statistic, >= or <=, number", "examples": ["pass_rate >= 0.8"]},
        whole,
        {
            "type": "object",
            "description": f"a metric, and how much worse than the baseline it may be: {EXAMPLES}",
            "propertyNames": {"enum": [*METRICS, "model", "profile"]},
            "additionalProperties": {"type": ["string", "number"]},
            "minProperties": 1,
        },
    ]


GateItem = Annotated[Gate, BeforeValidator(_spelled), Field(json_schema_extra=_forms)]
"""A gate in any of its spellings."""


def gate(said: str | Mapping[str, Any]) -> Gate:
    """The gate that is meant by a text or a mapping.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    try:
        return Gate.model_validate(_spelled(dict(said) if isinstance(said, Mapping) else said))
    except ValidationError as error:
        told = [placed(problem) for problem in error.errors(include_url=False)]
        raise ValueError("; ".join(": ".join(filter(None, (dotted(at), why))) for at, why in told)) from error


def gates_of_mark(arguments: Iterable[Any], margins: Mapping[str, Any]) -> list[Gate]:
    """The gates of one `@pytest.mark.gate("pass_rate >= 0.8", {...}, ttft_s="10%", model="smollm2-*")`.

    Args:
        arguments: sentences and mappings.
        margins: metric → margin; `model`, `profile` and `by` are for all of the mark.

    Raises:
        ValueError: one of them is no gate, or there is none.
    """
    shared = {key: margins[key] for key in ("model", "profile", "by") if key in margins}
    said = [_spelled(dict(each) if isinstance(each, Mapping) else each) for each in arguments]
    said += [_of_margin({metric: told}) for metric, told in margins.items() if metric not in shared]
    if not said:
        raise ValueError(f"says no gate: write {_FORMS}")
    return [_with(shared, each) for each in said]


def _with(shared: Mapping[str, Any], said: Any) -> Gate:
    """A gate of a mark, with what the mark says of all its gates."""
    if not isinstance(said, dict):
        raise ValueError(f"{said!r:.80} is no gate: write {_FORMS}")  # noqa: TRY004 - the kind that callers expect
    applies = {key: each for key, each in shared.items() if key != "by" or "regression" not in said}
    return gate({**applies, **said})
