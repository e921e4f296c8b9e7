"""What a provider publishes of its models (OpenRouter's `GET /models`): prices, contexts, what they take.

It is fetched at most once in 24 hours and kept in the user's cache folder. Where it cannot be fetched, what is kept is
used, however old: its date goes with every price.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from pytest_llmbench import clock, http
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.providers import kept
from pytest_llmbench.providers.facts import Facts
from pytest_llmbench.providers.published import Published, facts_in, published

MAX_AGE = timedelta(hours=24)
MAX_BYTES = 32 * 1024 * 1024
DEADLINES = http.Deadlines(connect_s=5, ttft_s=20, idle_s=10, total_s=30)
_WAIT_S = DEADLINES.total_s + 5


class Catalogue:
    """One provider's catalogue.

    Args:
        provider: its name.
        base_url: where `/models` is.
        offline: use what is kept, and never fetch.
        folder: where it is kept; the user's cache folder where not given.
    """

    def __init__(self, provider: str, base_url: str, *, offline: bool = False, folder: Path | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/models"
        self._offline = offline
        folder = folder or platformdirs.user_cache_path("pytest-llmbench") / "catalogues"
        place = hashlib.sha256(self._url.encode()).hexdigest()[:12]
        self._path = folder / f"{provider}-{place}.json"
        self.problem = ""
        """Why it could not be fetched, once it was tried; empty where it could."""

    @property
    def fetched_at(self) -> datetime | None:
        """When what is used was fetched; None where there is nothing."""
        return self._content.fetched_at if self._content else None

    @property
    def age(self) -> timedelta | None:
        """How old what is used is."""
        return clock.now() - self.fetched_at if self.fetched_at else None

    def state(self) -> str:
        """How old what is used is, and why it is not newer."""
        reason = self.problem or ("offline" if self._offline else "")
        why = f" ({reason})" if reason else ""
        if self.age is None:
            return f"no catalogue{why}"
        hours = self.age.total_seconds() / 3600
        return f"catalogue of {self.fetched_at:%Y-%m-%d %H:%M} UTC, {hours:.0f} h old{why}"

    def models(self) -> Mapping[str, Facts]:
        """All models by the provider's names; empty where the catalogue cannot be had."""
        if self._content is None:
            return {}
        return {model_id: facts_in(entry, self._content.fetched_at) for model_id, entry in self._content.models.items()}

    def facts(self, model_id: str) -> Facts | None:
        """What is published of a model; None where it is not in the catalogue."""
        entry = self._content.models.get(model_id) if self._content else None
        return None if entry is None or self._content is None else facts_in(entry, self._content.fetched_at)

    @cached_property
    def _content(self) -> Published | None:
        before = self._kept()
        if self._offline or (before is not None and _is_fresh(before)):
            return before
        try:
            return self._fetched_by_one()
        except InfraError as error:
            self.problem = error.message
            return before

    def _fetched_by_one(self) -> Published:
        """Fetched, or as another process fetched it while this one waited.

        Raises:
            InfraError: it cannot be had.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(f"{self._path}.lock", timeout=_WAIT_S):
            before = self._kept()
            return before if before is not None and _is_fresh(before) else self._fetched()
        return self._fetched()

    def _fetched(self) -> Published:
        answer = http.run(http.fetch(http.Request("GET", self._url), DEADLINES, max_bytes=MAX_BYTES))
        if answer.status != 200:
            category = Category.SERVER if answer.status >= 500 else Category.INVALID_REQUEST
            raise WireError(f"GET {self._url}: status {answer.status}", category=category, status=answer.status)
        try:
            content = published(json.loads(answer.body), clock.now())
        except (ValueError, RecursionError) as error:
            raise WireError(
                f"GET {self._url}: what came is no catalogue ({error})", category=Category.STREAM_MALFORMED
            ) from error
        kept.write(self._path, content.as_dict())
        return content

    def _kept(self) -> Published | None:
        """What was fetched before; None where there is nothing, or nothing that can be read."""
        data = kept.read(self._path)
        try:
            return published(data, datetime.fromisoformat(data["fetched_at"]))
        except (ValueError, KeyError, TypeError):
            return None


def _is_fresh(content: Published) -> bool:
    return timedelta(0) <= clock.now() - content.fetched_at < MAX_AGE
