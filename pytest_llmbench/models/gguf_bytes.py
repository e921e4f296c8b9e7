"""The bytes of a GGUF header, read without trust: every count and length has a cap, and so has the whole.

The caps are several times what the largest published models need (a vocabulary of 262 144 tokens with its merges makes
a header of about 20 MB), and small enough that no file makes the reader use more than 64 MiB of memory, or more time
than it takes to step over 4 million short texts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pytest_llmbench.models.gguf_types import ARRAY, SCALARS, STRING, TYPE_NAMES

MAX_HEADER_BYTES = 64 << 20
MAX_STRING_BYTES = 1 << 20
MAX_KEY_BYTES = (1 << 16) - 1
MAX_NAME_BYTES = 255
"""Of a tensor's name; llama.cpp itself takes 63."""
MAX_KEPT_TEXT_BYTES = 8 << 20
"""All texts that are kept: keys, names, values, items of short arrays."""
MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 16
MAX_ARRAY_ITEMS = 1 << 22
"""Of one array, and of all arrays whose items have to be stepped over one by one."""
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


Scalar = bool | int | float | str
Value = Scalar | LongArray | tuple[Scalar, ...]


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
        self._kept_items = 0
        self._kept_text_bytes = 0
        self._stepped = 0

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
        """A length and that many bytes of UTF-8; what is not UTF-8 becomes U+FFFD, as engines take it too."""
        return self._text(MAX_STRING_BYTES).decode("utf-8", "replace")

    def name(self, what: str, limit: int) -> str:
        """A text that something is found by; one that two readers could read differently is refused.

        Args:
            what: whose name it is, for errors.
            limit: the longest allowed, in bytes.
        """
        data = self._text(limit)
        if not data or b"\0" in data:
            raise BadGgufError(f"the name of {what} is empty or holds a NUL at byte {self.position}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadGgufError(f"the name of {what} is not UTF-8 at byte {self.position}") from error

    def value(self, kind: int) -> Value:
        """A metadata value of type `kind`."""
        return self._array() if kind == ARRAY else self._single(kind)

    def _single(self, kind: int) -> Scalar:
        if kind == STRING:
            return self.string()
        scalar = self._scalar(kind)
        (number,) = scalar.unpack(self.take(scalar.size))
        return number  # type: ignore[no-any-return]

    def _array(self) -> Value:
        kind, count = self.u32(), self.u64()
        if kind == ARRAY:
            raise BadGgufError(f"an array of arrays at byte {self.position}, which llama.cpp does not take")
        if count > MAX_ARRAY_ITEMS:
            raise BadGgufError(
                f"an array claims {count} items at byte {self.position} (most allowed: {MAX_ARRAY_ITEMS})"
            )
        if count <= KEPT_ITEMS and self._kept_items + count <= KEPT_ITEMS_TOTAL:
            self._kept_items += count
            return tuple(self._single(kind) for _ in range(count))
        self._skip_items(kind, count)
        return LongArray(TYPE_NAMES[kind], count)

    def _skip_items(self, kind: int, count: int) -> None:
        if kind == STRING:
            self._stepped += count
            if self._stepped > MAX_ARRAY_ITEMS:
                raise BadGgufError(f"its arrays claim {self._stepped} texts (most allowed: {MAX_ARRAY_ITEMS})")
            for _ in range(count):
                self._advance(self._text_bytes(MAX_STRING_BYTES))
            return
        left = self._scalar(kind).size * count
        while left:
            step = min(left, _BLOCK_BYTES)
            self._advance(step)
            left -= step

    def _scalar(self, kind: int) -> struct.Struct:
        scalar = SCALARS.get(kind)
        if scalar is None:
            raise BadGgufError(f"unknown value type {kind} at byte {self.position}")
        return scalar

    def _text(self, limit: int) -> bytes:
        size = self._text_bytes(limit)
        self._kept_text_bytes += size
        if self._kept_text_bytes > MAX_KEPT_TEXT_BYTES:
            raise BadGgufError(f"its texts are longer than {MAX_KEPT_TEXT_BYTES >> 20} MiB together")
        return self.take(size)

    def _text_bytes(self, limit: int) -> int:
        self._have(8)
        size = int(_U64.unpack_from(self._block, self._at)[0])
        self._at += 8
        if size > limit:
            raise BadGgufError(f"a text claims {size} bytes at byte {self.position} (limit: {limit})")
        return size

    def _advance(self, size: int) -> None:
        self._have(size)
        self._at += size

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
