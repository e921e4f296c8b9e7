"""Make a quantization from another one, with the `gguf` package's quantizers, tensor by tensor.

The header is copied byte by byte (vocabularies are most of it), the weights go through 32-bit floats in slices, so that
memory stays small whatever the model's size. Rounding twice costs quality: the new file says what it was made from.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, MissingExtraError, ModelFileError
from pytest_llmbench.models.gguf import REQUANTIZED_KEY, GgufHeader, read_header
from pytest_llmbench.models.gguf_split import split_of
from pytest_llmbench.models.gguf_tensors import TensorInfo
from pytest_llmbench.models.gguf_types import FILE_TYPE_IDS, MAGIC, STRING, TENSOR_TYPE_IDS, TENSOR_TYPES, UINT32

QUANTS = ("Q8_0", "Q5_0", "Q4_0")

_VERSION = 3
_QUANTIZATION_VERSION = 2
_SLICE_ELEMENTS = 1 << 21
_REPLACED_KEYS = ("general.file_type", "general.quantization_version", "general.quantized_by", REQUANTIZED_KEY)
_KEPT_NAMES = (
    "_norm.weight",
    "ffn_gate_inp.weight",
    "position_embd.weight",
    "token_types.weight",
    "ssm_conv1d.weight",
    "shortconv.conv.weight",
    "time_mix_",
    "attn_rel_b.weight",
)
"""Small tensors that llama.cpp keeps in floats too (`tensor_allows_quantization`, src/llama-quant.cpp)."""


def requantize(
    source: Path, target: Path, quant: str, requantized_from: str | None, progress: Callable[[int, int], None]
) -> str:
    """Write `source` in another quantization.

    Args:
        source: a GGUF file.
        target: the file to write; synced when this returns.
        quant: one of `QUANTS`.
        requantized_from: the quantization of `source`, where it is one; recorded in the new file's metadata.
        progress: called with bytes of the source done and in total.

    Returns:
        The sha256 of the new file.

    Raises:
        MissingExtraError: the `gguf` package is not installed.
        ModelFileError: `source` is unreadable, or holds a type that cannot be read back to floats.
        OSError: `target` cannot be written.
    """
    quants = load_quantizers()
    header = read_header(source)
    if split_of(header):
        raise ModelFileError(
            f"{display_safe(str(source), keep='')} is a part of a split model, and only whole ones can be requantized",
            category=Category.LOCAL_CORRUPT_MODEL,
            hint="join the parts first: llama-gguf-split --merge FIRST-PART.gguf WHOLE.gguf",
        )
    plan = [_planned(tensor, quant) for tensor in header.tensors]
    with source.open("rb") as reading, target.open("wb") as writing:
        out = _HashingFile(writing)
        out.write(_head(header, reading, plan, quant, requantized_from))
        out.pad(header.alignment)
        done = 0
        for tensor in plan:
            for piece in _pieces(quants, header, reading, tensor):
                out.write(piece)
            out.pad(header.alignment)
            done += tensor.source.size_bytes or 0
            progress(done, header.weights_bytes)
        writing.flush()
        os.fsync(writing.fileno())
    return out.digest.hexdigest()


def load_quantizers() -> ModuleType:
    """The module with the quantizers.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import gguf.quants  # noqa: PLC0415  an optional extra, with numpy behind it
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"making a quantization needs the gguf package, which is not installed ({error})",
            hint="pip install 'pytest-llmbench[local]'",
        ) from error
    return gguf.quants


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor and the type it shall have."""

    source: TensorInfo
    type: str

    @property
    def size_bytes(self) -> int:
        _, block, block_bytes = TENSOR_TYPES[TENSOR_TYPE_IDS[self.type]]
        return self.source.elements // block * block_bytes


class _HashingFile:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
        self._size += len(data)

    def pad(self, alignment: int) -> None:
        self.write(bytes(-self._size % alignment))


def _planned(tensor: TensorInfo, quant: str) -> _Tensor:
    if tensor.size_bytes is None:
        raise _unsupported(tensor)
    block = TENSOR_TYPES[TENSOR_TYPE_IDS[quant]][1]
    keeps = len(tensor.shape) < 2 or tensor.shape[0] % block or any(name in tensor.name for name in _KEPT_NAMES)
    return _Tensor(tensor, tensor.type if keeps else quant)


def _head(
    header: GgufHeader, reading: BinaryIO, plan: list[_Tensor], quant: str, requantized_from: str | None
) -> bytes:
    """Everything before the data section: magic, counts, metadata, tensor list."""
    entries = [_read(reading, *span) for key, span in header.spans.items() if key not in _REPLACED_KEYS]
    entries.append(_entry("general.file_type", UINT32, struct.pack("<I", FILE_TYPE_IDS[quant])))
    entries.append(_entry("general.quantization_version", UINT32, struct.pack("<I", _QUANTIZATION_VERSION)))
    entries.append(_entry("general.quantized_by", STRING, _string("pytest-llmbench")))
    if requantized_from:
        entries.append(_entry(REQUANTIZED_KEY, STRING, _string(requantized_from)))
    start = MAGIC + struct.pack("<IQQ", _VERSION, len(plan), len(entries))
    return start + b"".join(entries) + b"".join(_listed(plan, header.alignment))


def _listed(plan: list[_Tensor], alignment: int) -> Iterator[bytes]:
    """The entries of the tensor list."""
    offset = 0
    for tensor in plan:
        shape = tensor.source.shape
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        yield _string(tensor.source.name) + sizes + struct.pack("<IQ", TENSOR_TYPE_IDS[tensor.type], offset)
        offset += -(-tensor.size_bytes // alignment) * alignment


def _pieces(quants: ModuleType, header: GgufHeader, reading: BinaryIO, tensor: _Tensor) -> Iterator[bytes]:
    """The tensor's new bytes, some rows at a time."""
    row_elements = tensor.source.shape[0] if tensor.source.shape else 1
    rows = tensor.source.elements // max(row_elements, 1)
    row_bytes = (tensor.source.size_bytes or 0) // max(rows, 1)
    step = max(_SLICE_ELEMENTS // max(row_elements, 1), 1)
    reading.seek(header.data_offset + tensor.source.offset)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        data = reading.read(count * row_bytes)
        yield data if tensor.type == tensor.source.type else _converted(quants, tensor, data, count)


def _converted(quants: ModuleType, tensor: _Tensor, data: bytes, rows: int) -> bytes:
    import numpy as np  # noqa: PLC0415  a dependency of the optional gguf package

    types: Any = quants.GGMLQuantizationType
    raw = np.frombuffer(data, np.uint8).reshape(rows, -1)
    try:
        floats = quants.dequantize(raw, types[tensor.source.type])
        return quants.quantize(floats, types[tensor.type]).tobytes()  # type: ignore[no-any-return]
    except (NotImplementedError, KeyError) as error:
        raise _unsupported(tensor.source) from error


def _entry(key: str, kind: int, value: bytes) -> bytes:
    return _string(key) + struct.pack("<I", kind) + value


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _read(reading: BinaryIO, start: int, end: int) -> bytes:
    reading.seek(start)
    return reading.read(end - start)


def _unsupported(tensor: TensorInfo) -> ModelFileError:
    return ModelFileError(
        f"the tensor {tensor.name!r:.100} has the type {tensor.type}, which cannot be turned into floats here",
        category=Category.LOCAL_CORRUPT_MODEL,
        hint="quantize from another file of this model (F16 and Q8_0 lose least), or upgrade the gguf package",
    )
