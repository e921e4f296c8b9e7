"""The bytes of a GGUF header, read without trust: every count, length and depth has a cap, and so has the whole.

The caps are several times what the largest published models need (a vocabulary of 262 144 tokens with its merges makes
a header of about 20 MB), and small enough that no file makes the reader use much memory or time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pytest_llmbench.servers.gguf_types import ARRAY, SCALARS, STRING, TYPE_NAMES

MAX_HEADER_BYTES = 64 << 20
MAX_STRING_BYTES = 1 << 20
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_ARRAY_ITEMS = 1 << 22
MAX_DEPTH = 4
MAX_DIMENSIONS = 4
KEPT_ITEMS = 1 << 11
"""Arrays up to this long are kept; of longer ones (vocabularies) only type and length."""
KEPT_ITEMS_TOTAL = 1 << 17

_BLOCK_BYTES = 1 << 18
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class BadGgufError(ValueError):
    """The bytes are not a GGUF header; the message says what is wrong with them and where."""


@dataclass(frozen=True, slots=True)
class LongArray:
    """An array that was skipped: only what it holds is known."""

    kind: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} × {self.kind}"


Value = bool | int | float | str | LongArray | tuple["Value", ...]


class Cursor:
    """Reads forward through a header.

    Args:
        file: opened for binary reading, at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._block = b""
        self._at = 0
        self._block_start = 0
        self._kept = 0

    @property
    def position(self) -> int:
        """Bytes from the beginning of the file."""
        return self._block_start + self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            BadGgufError: the file or the cap on headers ends before.
        """
        self._have(size)
        self._at += size
        return self._block[self._at - size : self._at]

    def rewind(self, size: int) -> None:
        """Go back over the last `size` bytes that were taken."""
        self._at -= size

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def string(self) -> str:
        """A length and that many bytes of UTF-8; what is not UTF-8 becomes U+FFFD."""
        return self.take(self._string_bytes()).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Value:
        """A metadata value of type `kind`."""
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            return self._array(depth + 1)
        scalar = self._scalar(kind)
        (number,) = scalar.unpack(self.take(scalar.size))
        return number  # type: ignore[no-any-return]

    def _array(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise BadGgufError(f"arrays are nested more than {MAX_DEPTH} deep at byte {self.position}")
        kind, count = self.u32(), self.u64()
        if count > MAX_ARRAY_ITEMS:
            raise BadGgufError(
                f"an array claims {count} items at byte {self.position} (most allowed: {MAX_ARRAY_ITEMS})"
            )
        if kind == ARRAY:
            return self._nested(count, depth)
        self._kept += count if count <= KEPT_ITEMS else 0
        if count <= KEPT_ITEMS and self._kept <= KEPT_ITEMS_TOTAL:
            return tuple(self.value(kind) for _ in range(count))
        self._skip_items(kind, count)
        return LongArray(TYPE_NAMES[kind], count)

    def _nested(self, count: int, depth: int) -> Value:
        self._kept += count
        if self._kept > KEPT_ITEMS_TOTAL:
            raise BadGgufError(f"arrays in arrays hold too many items at byte {self.position}")
        return tuple(self._array(depth + 1) for _ in range(count))

    def _skip_items(self, kind: int, count: int) -> None:
        if kind == STRING:
            for _ in range(count):
                size = self._string_bytes()
                self._have(size)
                self._at += size
            return
        left = self._scalar(kind).size * count
        while left:
            step = min(left, _BLOCK_BYTES)
            self._have(step)
            self._at += step
            left -= step

    def _scalar(self, kind: int) -> struct.Struct:
        scalar = SCALARS.get(kind)
        if scalar is None:
            raise BadGgufError(f"unknown value type {kind} at byte {self.position}")
        return scalar

    def _string_bytes(self) -> int:
        self._have(8)
        size = int(_U64.unpack_from(self._block, self._at)[0])
        self._at += 8
        if size > MAX_STRING_BYTES:
            raise BadGgufError(f"a text claims {size} bytes at byte {self.position} (limit: {MAX_STRING_BYTES})")
        return size

    def _have(self, size: int) -> None:
        """Make sure that the next `size` bytes are in the block."""
        missing = size - (len(self._block) - self._at)
        if missing <= 0:
            return
        if self.position + size > MAX_HEADER_BYTES:
            raise BadGgufError(f"the header is longer than {MAX_HEADER_BYTES >> 20} MiB")
        more = self._file.read(max(missing, _BLOCK_BYTES))
        if len(more) < missing:
            raise BadGgufError(
                f"the file ends at byte {self._block_start + len(self._block) + len(more)}, in its header"
            )
        self._block_start += self._at
        self._block = self._block[self._at :] + more
        self._at = 0
