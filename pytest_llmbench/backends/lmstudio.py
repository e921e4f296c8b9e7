"""LM Studio: model details, quantization, the context it was loaded with, the statistics of its own answers."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.backends import own_speed
from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.backends.own_speed import OwnSpeed
from pytest_llmbench.clients.decoded import count, is_number
from pytest_llmbench.clients.lmstudio_api import LmStudioApi
from pytest_llmbench.clients.server_api import object_in, objects_in
from pytest_llmbench.errors import WireError
from pytest_llmbench.records import Measurement


class LmStudio(Backend):
    """See `Backend`."""

    KIND = "lmstudio"
    TITLE = "LM Studio"
    SAME = ("family", "parameters", "quantization", "bits_per_weight", "format", "size_bytes")
    """Without the version of its engine, which it tells with an answer alone: that would load the model."""

    @property
    def _api(self) -> LmStudioApi:
        return LmStudioApi(lambda: self.endpoint, self.deadlines)

    def describe(self) -> None:
        try:
            self.details |= self._of_v1(self._api.models())
        except WireError:  # before 0.4
            self.details |= self._of_v0(self.ask("the model's details", self._api.models_v0) or [])

    def end(self, measurement: Measurement, sent: int) -> None:  # noqa: ARG002 - it counts no requests
        if "context" not in self.details:
            self.describe()  # a model that is loaded by its first request has no context before
        if own_speed.is_comparable(measurement):
            self._compare(measurement)

    def _of_v1(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        for model in models:
            instances = objects_in(model, "loaded_instances")
            ours = [each for each in instances if each.get("id") == self.endpoint.model_id]
            if model.get("key") != self.endpoint.model_id and not ours:
                continue
            loaded, quantization = (ours or instances)[:1], object_in(model, "quantization")
            return _known(
                family=str(model.get("architecture") or ""),
                parameters=str(model.get("params_string") or ""),
                quantization=str(quantization.get("name") or ""),
                bits_per_weight=_number(quantization, "bits_per_weight"),
                format=str(model.get("format") or ""),
                size_bytes=count(model.get("size_bytes")),
                max_context=count(model.get("max_context_length")),
                context=count(object_in(loaded[0], "config").get("context_length")) if loaded else None,
            )
        return {}

    def _of_v0(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        model = next((each for each in models if each.get("id") == self.endpoint.model_id), {})
        return _known(
            family=str(model.get("arch") or ""),
            quantization=str(model.get("quantization") or ""),
            format=str(model.get("compatibility_type") or ""),
            max_context=count(model.get("max_context_length")),
            context=count(model.get("loaded_context_length")),
        )

    def _compare(self, measurement: Measurement) -> None:
        tokens = own_speed.output_tokens(measurement)
        answers = [
            self.ask("its own statistics", lambda: self._api.chat(own_speed.fresh_prompt(), tokens))
            for _ in range(own_speed.REQUESTS)
        ]
        told = [answer for answer in answers if answer is not None]
        self.compare(measurement, [_speed(object_in(answer, "stats")) for answer in told])
        for answer in told[-1:]:
            runtime, model = object_in(answer, "runtime"), object_in(answer, "model_info")
            version = " ".join(str(runtime.get(name) or "") for name in ("name", "version")).strip()
            self.details |= _known(version=version, context=count(model.get("context_length")))


def _speed(stats: dict[str, Any]) -> OwnSpeed:
    return OwnSpeed(_number(stats, "tokens_per_second"), None, _number(stats, "time_to_first_token"))


def _number(told: dict[str, Any], name: str) -> float | None:
    value: Any = told.get(name)
    return float(value) if is_number(value) else None


def _known(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value not in (None, "")}
