"""Response caches in files of their own, and what is put into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_llmbench.records import CacheEntry
from pytest_llmbench.store.cache_file import CacheFile

MIB = 2**20


def opened(path: Path, *, ttl_h: float = 24, max_bytes: int = 64 * MIB, longest_bytes: int = MIB) -> CacheFile:
    return CacheFile(path, ttl_s=ttl_h * 3600, max_bytes=max_bytes, longest_bytes=longest_bytes)


def key(number: int) -> str:
    return f"{number:064x}"


def entry(number: int, size: int = 10, model: str = "cloud/one") -> CacheEntry:
    return CacheEntry(key(number), bytes([number % 251]) * size, model)


def entries(*numbers: int, **more: Any) -> list[CacheEntry]:
    return [entry(number, **more) for number in numbers]


def held(cache: CacheFile, count: int = 1000) -> set[int]:
    found = cache.get([key(number) for number in range(count)])
    return {int(each, 16) for each in found}
