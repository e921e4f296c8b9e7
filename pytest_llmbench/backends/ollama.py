"""Ollama: model details, whether the model was loaded, how long that took, where it lies, how fast it says it is."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.backends import own_speed
from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.backends.own_speed import OwnSpeed
from pytest_llmbench.clients.decoded import count
from pytest_llmbench.clients.ollama_api import OllamaApi, OllamaTimes
from pytest_llmbench.clients.server_api import object_in
from pytest_llmbench.records import Measurement


class Ollama(Backend):
    """See `Backend`. The model is loaded by the first request, as any request would; it is not unloaded."""

    KIND = "ollama"
    TITLE = "Ollama"
    SAME = ("version", "digest", "quantization", "size_bytes")

    @property
    def _api(self) -> OllamaApi:
        return OllamaApi(lambda: self.endpoint, self.deadlines)

    def describe(self) -> None:
        self.details["version"] = self.ask("its version", self._api.version)
        self._details(self.ask("the model's details", self._api.show) or {})
        entry = self.ask("the model's size", self._api.stored) or {}
        self.details |= {"size_bytes": count(entry.get("size")), "digest": str(entry.get("digest") or "")}

    def begin(self) -> None:
        super().begin()
        running = self.ask("what is loaded", self._api.running)
        if running is None:
            return
        if running:
            self.notes.append("the model was in Ollama's memory already: its load time was not measured")
            return
        first = self.ask("how long the model takes to load", lambda: self._api.chat(own_speed.fresh_prompt(), 1))
        if first is not None and first.load_s is not None:
            self.scalars["load_s"] = first.load_s

    def end(self, measurement: Measurement, sent: int) -> None:  # noqa: ARG002 - it counts no requests
        if own_speed.is_comparable(measurement):
            self._compare(measurement)
        running = self.ask("where the model lies", self._api.running) or {}
        self.details["context"] = count(running.get("context_length"))
        whole, card = count(running.get("size")), count(running.get("size_vram"))
        self.details |= {"memory_bytes": whole, "vram_bytes": card}
        if card:
            self.scalars["peak_vram_bytes"] = float(card)
        if whole and card is not None:
            self.details["offloaded_share"] = round(card / whole, 3)

    def _details(self, shown: dict[str, Any]) -> None:
        details, info = object_in(shown, "details"), object_in(shown, "model_info")
        architecture = str(info.get("general.architecture") or "")
        self.details |= {
            "family": str(details.get("family") or architecture),
            "parameters": str(details.get("parameter_size") or ""),
            "parameter_count": count(info.get("general.parameter_count")),
            "quantization": str(details.get("quantization_level") or ""),
            "format": str(details.get("format") or ""),
            "max_context": count(info.get(f"{architecture}.context_length")),
        }

    def _compare(self, measurement: Measurement) -> None:
        tokens = own_speed.output_tokens(measurement)
        asked = [
            self.ask("its own times", lambda: self._api.chat(own_speed.fresh_prompt(), tokens))
            for _ in range(own_speed.REQUESTS)
        ]
        told = [_speed(times) for times in asked if times is not None]
        self.compare(measurement, told)


def _speed(times: OllamaTimes) -> OwnSpeed:
    """By the rule of its documentation: eval_count / eval_duration."""
    return OwnSpeed(_rate(times.output_tokens, times.output_s), _rate(times.prompt_tokens, times.prompt_s))


def _rate(tokens: int | None, seconds: float | None) -> float | None:
    return tokens / seconds if tokens and seconds else None
