"""The ids of a dataset's samples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from pytest_llmbench.datasets.columns import Row, cell
from pytest_llmbench.questions.rows import Place

MAX_CHARACTERS = 120


class Ids:
    """The ids of one dataset's samples: each its own.

    Args:
        column: which one holds them; None: `id` where there is one, else they are made from the row's content.
    """

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._places: dict[str, Place] = {}
        self._made: Counter[str] = Counter()

    def of(self, row: Row, place: Place) -> str:
        """The id of the next row.

        Raises:
            UsageError: it is none, or another row has it.
        """
        name = self._column or "id"
        if self._column is None and name not in row:
            return self._from_content(row)
        value = cell(row, name, place)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise place.error(f"{name!r} is to be a text or a number, and not empty")
        own = str(value).strip()
        if len(own) > MAX_CHARACTERS or not own.isprintable():
            raise place.error(f"{name!r} is to be {MAX_CHARACTERS} printable characters at most: test names hold it")
        if (first := self._places.setdefault(own, place)) is not place:
            of = "" if first.file == place.file else f" of {first.file.name}"
            raise place.error(
                f"the {name} {own!r} stands in {first.unit} {first.line}{of}, too", hint="each sample has its own"
            )
        return own

    def _from_content(self, row: Row) -> str:
        """So it stays when rows are put before it; equal rows are counted."""
        content = json.dumps(row, sort_keys=True, separators=(",", ":"), default=_hashed)
        made = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        self._made[made] += 1
        return made if self._made[made] == 1 else f"{made}-{self._made[made]}"


def _hashed(value: Any) -> str:
    """Of the bytes of a picture in a row."""
    return hashlib.sha256(value).hexdigest()
