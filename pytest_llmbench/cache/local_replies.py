"""The response cache for models of this machine, which the process asks whose test wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmbench.cache.key import local_key_of
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.records import Reply


class LocalReplies:
    """Finds and keeps replies by what was asked of which file, behind which server.

    Args:
        cache: where they lie.
        machine: a fingerprint of this machine.
    """

    def __init__(self, cache: ResponseCache, machine: str) -> None:
        self._cache = cache
        self._machine = machine

    def find(self, request: ChatRequest, server: Mapping[str, Any], *, role: str, trial: int) -> Reply | None:
        """The reply to a request; None where there is none, or may be none."""
        key = local_key_of(request, server, machine=self._machine, role=role, trial=trial)
        return None if key is None else self._cache.find(key)

    def put(self, request: ChatRequest, server: Mapping[str, Any], reply: Reply, *, trial: int) -> None:
        """Put away a reply that was received now."""
        key = local_key_of(request, server, machine=self._machine, role=reply.role, trial=trial)
        if key is not None:
            self._cache.put(key, reply)
