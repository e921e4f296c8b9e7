"""A `llama-server` of somebody else: its build, the model's file, its context and slots.

Its `/metrics` are left alone: reading them resets what another reader of them would have read.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.clients.decoded import count
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.server_api import object_in
from pytest_llmbench.records import Measurement


class LlamaCpp(Backend):
    """See `Backend`."""

    KIND = "llama.cpp"
    TITLE = "llama.cpp"
    SAME = ("version", "file", "size_bytes", "parameter_count", "context", "slots")

    @property
    def _api(self) -> LlamaApi:
        return LlamaApi(lambda: self.endpoint, self.deadlines)

    def describe(self) -> None:
        self._properties(self.ask("its properties", self._api.props) or {})
        card = self.ask("the model's details", self._api.served) or []
        meta = object_in(card[0], "meta") if card else {}
        self.details |= {
            "parameter_count": count(meta.get("n_params")),
            "size_bytes": count(meta.get("size")),
            "max_context": count(meta.get("n_ctx_train")),
        }

    def end(self, measurement: Measurement, sent: int) -> None:
        """Its answers tell all its times."""

    def _properties(self, props: dict[str, Any]) -> None:
        path = str(props.get("model_path") or "")
        self.details |= {
            "version": str(props.get("build_info") or ""),
            "file": PurePath(path.replace("\\", "/")).name,
            "context": count(object_in(props, "default_generation_settings").get("n_ctx")),
            "slots": count(props.get("total_slots")),
        }
