"""The list of tensors in a GGUF header, and whether the file can hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from pytest_llmbench.models.gguf_bytes import MAX_DIMENSIONS, MAX_NAME_BYTES, BadGgufError, Cursor
from pytest_llmbench.models.gguf_types import TENSOR_TYPE_IDS, TENSOR_TYPES


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor as the header lists it."""

    name: str
    shape: tuple[int, ...]
    """Fastest-running dimension (the row length) first, as in the file."""
    type: str
    """`Q4_1`, `F32`, ...; `type 99` where we do not know it."""
    offset: int
    """Bytes from the beginning of the data section."""

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """None where the type is unknown to us."""
        if self.type not in TENSOR_TYPE_IDS:
            return None
        _, block, block_bytes = TENSOR_TYPES[TENSOR_TYPE_IDS[self.type]]
        return self.elements // block * block_bytes


def read_tensors(cursor: Cursor, count: int) -> tuple[TensorInfo, ...]:
    """The next `count` tensors of a header.

    Raises:
        BadGgufError: one of them cannot be, or two have the same name.
    """
    tensors = tuple(_tensor(cursor) for _ in range(count))
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BadGgufError("two tensors have the same name")
    return tensors


def check_extents(tensors: tuple[TensorInfo, ...], data_offset: int, alignment: int, file_size_bytes: int) -> None:
    """Make sure that every tensor has its own place in the file.

    Args:
        tensors: as the header lists them.
        data_offset: where the data section begins, in bytes from the beginning of the file.
        alignment: what every tensor's offset is a multiple of, in bytes.
        file_size_bytes: of the file.

    Raises:
        BadGgufError: a tensor lies outside of the file, across another one, or not at a multiple of the alignment.
    """
    for tensor in tensors:
        if tensor.offset % alignment:
            raise BadGgufError(f"the tensor {tensor.name!r:.100} is not aligned to {alignment} bytes")
        end = data_offset + tensor.offset + (tensor.size_bytes or 0)
        if end > file_size_bytes:
            raise BadGgufError(f"it is cut short: its header promises {end} bytes, the file has {file_size_bytes}")
    for before, after in pairwise(sorted(tensors, key=lambda tensor: tensor.offset)):
        # One of unknown size takes at least a byte.
        if before.offset + (before.size_bytes or 1) > after.offset:
            raise BadGgufError(f"its tensors overlap: {before.name!r:.100} and {after.name!r:.100}")


def _tensor(cursor: Cursor) -> TensorInfo:
    name, dimensions = cursor.name("a tensor", MAX_NAME_BYTES), cursor.u32()
    if dimensions > MAX_DIMENSIONS:
        raise BadGgufError(f"the tensor {name!r:.100} claims {dimensions} dimensions (most allowed: {MAX_DIMENSIONS})")
    shape = tuple(cursor.u64() for _ in range(dimensions))
    type_id, offset = cursor.u32(), cursor.u64()
    row = TENSOR_TYPES.get(type_id)
    tensor = TensorInfo(name, shape, row[0] if row else f"type {type_id}", offset)
    # llama.cpp divides by the dimensions: builds of it die of a 0 there.
    if not 0 < tensor.elements < 1 << 63:
        raise BadGgufError(f"the tensor {name!r:.100} claims {tensor.elements:.3g} elements")
    if row and (shape[0] if shape else 1) % row[1]:
        raise BadGgufError(f"a row of the tensor {name!r:.100} is not a whole number of {row[0]} blocks")
    return tensor
