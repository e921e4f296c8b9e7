"""LocalAI: its version, the back-end that serves the model, and the memory of that back-end's process."""

from __future__ import annotations

from pytest_llmbench.backends.backend import Backend
from pytest_llmbench.clients.decoded import count
from pytest_llmbench.clients.localai_api import LocalAiApi
from pytest_llmbench.clients.server_api import object_in
from pytest_llmbench.records import Measurement


class LocalAi(Backend):
    """See `Backend`. Which file lies behind a name stands in its configuration, which it tells nobody."""

    KIND = "localai"
    TITLE = "LocalAI"
    SAME = ("version",)

    @property
    def _api(self) -> LocalAiApi:
        return LocalAiApi(lambda: self.endpoint, self.deadlines)

    def describe(self) -> None:
        self.details["version"] = self.ask("its version", self._api.version)

    def end(self, measurement: Measurement, sent: int) -> None:  # noqa: ARG002 - it tells of itself, not of requests
        loaded = self.ask("what is loaded", self._api.loaded) or {}
        memory, card = count(object_in(loaded, "process").get("rss_bytes")), count(loaded.get("size_vram"))
        self.details |= {"engine": str(loaded.get("backend") or ""), "memory_bytes": memory, "vram_bytes": card}
        if card:
            self.scalars["peak_vram_bytes"] = float(card)
        if memory:
            self.scalars["rss_bytes"] = float(memory)
