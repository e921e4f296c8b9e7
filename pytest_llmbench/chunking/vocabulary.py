"""OpenAI's vocabularies for tiktoken: from its cache, else fetched once, within bounds of time.

tiktoken fetches them itself, without any deadline: so what it needs is put into its cache before it is asked.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from pytest_llmbench import http
from pytest_llmbench.errors import Category, UsageError, WireError, did_you_mean
from pytest_llmbench.extras import from_extra

_HOME = "https://openaipublic.blob.core.windows.net/encodings"
_FILES = {
    "cl100k_base": ("cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
    "o200k_base": ("o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "o200k_harmony": ("o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
}
"""Name → its file at OpenAI, and the sha256 of that, as tiktoken states it."""
_DEADLINES = http.Deadlines(connect_s=5, ttft_s=10, idle_s=10, total_s=30)
_MAX_BYTES = 16_000_000


def encoding(name: str, *, offline: bool = False, home: str = _HOME) -> Any:
    """A `tiktoken.Encoding`.

    Args:
        name: `o200k_base`, `o200k_harmony` or `cl100k_base`.
        offline: use what is in tiktoken's cache, and never fetch.
        home: where vocabularies are fetched.

    Raises:
        MissingExtraError: tiktoken is not installed.
        UsageError: there is no such vocabulary.
        WireError: it is not here, and cannot be fetched.
    """
    check_name(name)
    library = from_extra("tiktoken", "tokens")
    file, sha256 = _FILES[name]
    place = _cache() / hashlib.sha1(f"{_HOME}/{file}".encode(), usedforsecurity=False).hexdigest()
    if not _is_whole(place, sha256):
        _keep(place, _fetched(f"{home}/{file}", sha256, offline=offline))
    return library.get_encoding(name)


def check_name(name: str) -> None:
    """See that there is such a vocabulary.

    Raises:
        UsageError: there is none.
    """
    if name not in _FILES:
        known = ", ".join(_FILES)
        raise UsageError(f"there is no vocabulary {name!r}{did_you_mean(name, _FILES)}", hint=f"known are {known}")


def name_for(model_id: str) -> str | None:
    """Which vocabulary an OpenAI model has; None: not known.

    Raises:
        MissingExtraError: tiktoken is not installed.
    """
    from_extra("tiktoken", "tokens")
    models = from_extra("tiktoken.model", "tokens")
    try:
        name = str(models.encoding_name_for_model(model_id))
    except KeyError:
        return None
    return name if name in _FILES else None


def _cache() -> Path:
    """Where tiktoken looks, by its own rule."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "data-gym-cache"


def _is_whole(place: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(place.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _fetched(url: str, sha256: str, *, offline: bool) -> bytes:
    if offline:
        raise WireError(f"{url} is not in tiktoken's cache, and nothing is fetched", category=Category.NETWORK_REFUSED)
    answer = http.run(http.fetch(http.Request("GET", url), _DEADLINES, max_bytes=_MAX_BYTES))
    if answer.status != 200:
        raise WireError(f"GET {url}: status {answer.status}", category=Category.SERVER, status=answer.status)
    if hashlib.sha256(answer.body).hexdigest() != sha256:
        raise WireError(f"GET {url}: what came is not that vocabulary", category=Category.STREAM_MALFORMED)
    return answer.body


def _keep(place: Path, content: bytes) -> None:
    """Replace the file in one step: other processes may be reading it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
        new.write_bytes(content)
        new.replace(place)
    except OSError as error:
        raise UsageError(
            f"{place.parent} cannot be written: {error.strerror}", hint="TIKTOKEN_CACHE_DIR names another folder"
        ) from None
