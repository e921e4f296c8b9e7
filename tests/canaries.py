"""Looking for keys in every byte that was left behind."""

from __future__ import annotations

import base64
import urllib.parse
from pathlib import Path


def forms(key: str) -> set[bytes]:
    """In which a key travels: as it is, in an address, hexadecimal, base64 at each of three places, and its halves."""
    encoded = [base64.b64encode((before + key).encode()).decode()[4:-4] for before in ("abc", "abcd", "abcde")]
    pieces = [key[:14], key[-14:]]
    return {form.encode() for form in (key, urllib.parse.quote(key, safe=""), key.encode().hex(), *encoded, *pieces)}


def holding(folder: Path, wanted: set[bytes]) -> list[tuple[str, bytes]]:
    """(name of a file, what it holds) below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(path.name, form) for path in files for form in wanted if form in path.read_bytes()]
