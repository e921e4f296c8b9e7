"""What a GGUF file says about itself, by a bounded reader of its header. Standard library only.

All text in a header is a stranger's: print it through `display_safe`, as `GgufHeader.shown` does.
"""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.servers.gguf_bytes import (
    MAX_DIMENSIONS,
    MAX_KEYS,
    MAX_TENSORS,
    BadGgufError,
    Cursor,
    LongArray,
    Value,
)
from pytest_llmbench.servers.gguf_types import (
    DEFAULT_ALIGNMENT,
    FILE_TYPES,
    FLOAT_TYPES,
    MAGIC,
    TENSOR_TYPE_IDS,
    TENSOR_TYPES,
    VERSIONS,
)

REQUANTIZED_KEY = "llmbench.requantized_from"
"""The metadata key by which a file says that it was made from an already quantized one."""

_CACHE_CELLS_STEP = 256
"""llama.cpp rounds the context of a slot up to a multiple of this."""

_MISTAKEN = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself"),
    (b"<", "it looks like a web page"),
    (b"PK\x03\x04", "it is a zip archive"),
)


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


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A header that was read and found consistent with the file's size."""

    path: str
    version: int
    file_size_bytes: int
    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    """Where the data section begins, in bytes from the beginning of the file."""
    alignment: int = DEFAULT_ALIGNMENT
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    """Metadata key → first and last + 1 byte of its entry in the file, the key included."""

    @property
    def tensor_count(self) -> int:
        return len(self.tensors)

    @property
    def architecture(self) -> str:
        """`llama`, `gemma3`, ...; empty where the file does not say."""
        return self._text("general.architecture")

    @property
    def quantization(self) -> str:
        """The name of the quantization (`Q4_1`, `Q4_K_M`): as the file tells it, else the type most bytes have."""
        number = self._whole("general.file_type", minimum=0)
        if number is not None and number in FILE_TYPES:
            return FILE_TYPES[number]
        held: Counter[str] = Counter()
        for tensor in self.tensors:
            held[tensor.type] += tensor.size_bytes or tensor.elements
        return held.most_common(1)[0][0] if held else ""

    @property
    def is_quantized(self) -> bool:
        return self.quantization not in FLOAT_TYPES

    @property
    def requantized_from(self) -> str | None:
        """The quantization the file was made from, where it says that this was already a quantized one."""
        return display_safe(self._text(REQUANTIZED_KEY), keep="")[:100] or None

    @property
    def parameter_count(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def context_length(self) -> int | None:
        """Tokens of context the model was trained for."""
        return self._whole(f"{self.architecture}.context_length")

    @property
    def has_chat_template(self) -> bool:
        return bool(self._text("tokenizer.chat_template"))

    @property
    def weights_bytes(self) -> int:
        """Memory of the weights: the sum over all tensors, all experts of a mixture included."""
        sizes = [tensor.size_bytes for tensor in self.tensors]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else self.file_size_bytes - self.data_offset

    def kv_bytes(self, context: int, slots: int = 1, kv_type: str = "f16") -> int | None:
        """Memory of the KV cache that llama.cpp allocates (`llama_kv_cache`, src/llama-kv-cache.cpp).

            cells  = context of a slot, rounded up to 256, times slots
            bytes  = cells · Σ over layers of KV heads · (key length + value length) · bytes of an element

        Grouped-query attention is in it (KV heads, per layer where the file lists them so). For sliding-window layers
        it is an upper bound: llama.cpp gives them a smaller cache.

        Args:
            context: tokens of context per slot.
            slots: parallel slots.
            kv_type: `f32`, `f16`, `bf16`, `q8_0`, `q5_1`, `q5_0`, `q4_1`, `q4_0`, ...

        Returns:
            Bytes; None where the header does not tell enough or the type is unknown.
        """
        heads, lengths = self._kv_heads(), self._head_lengths()
        type_id = TENSOR_TYPE_IDS.get(kv_type.upper())
        if heads is None or lengths is None or type_id is None:
            return None
        _, block, block_bytes = TENSOR_TYPES[type_id]
        cells = math.ceil(context / _CACHE_CELLS_STEP) * _CACHE_CELLS_STEP * slots
        return cells * heads * lengths * block_bytes // block

    def shown(self, width: int = 120) -> list[tuple[str, str]]:
        """The metadata to print: key and value on one line each, made safe, cut to `width` characters."""
        return [(display_safe(key, keep="")[:width], _shown(value, width)) for key, value in self.metadata.items()]

    def _kv_heads(self) -> int | None:
        """KV heads summed over the layers."""
        layers = self._whole(f"{self.architecture}.block_count")
        key = f"{self.architecture}.attention.head_count_kv"
        per_layer = self.metadata.get(key)
        if isinstance(per_layer, tuple):
            counts = [count for count in per_layer if isinstance(count, int) and count >= 0]
            return sum(counts[:layers]) if layers and layers <= len(counts) == len(per_layer) else None
        heads = self._whole(key) or self._whole(f"{self.architecture}.attention.head_count")
        return heads * layers if heads and layers else None

    def _head_lengths(self) -> int | None:
        """Key length plus value length of one head; both are embedding length / heads where not told."""
        width, heads = (
            self._whole(f"{self.architecture}.{key}") for key in ("embedding_length", "attention.head_count")
        )
        default = width // heads if width and heads else None
        key = self._whole(f"{self.architecture}.attention.key_length") or default
        value = self._whole(f"{self.architecture}.attention.value_length") or default
        return key + value if key and value else None

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def _whole(self, key: str, minimum: int = 1) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= minimum else None


def read_header(path: Path | str) -> GgufHeader:
    """Read and check the header of a GGUF file; the weights are not read.

    Raises:
        ModelFileError: no such file (`model_missing`), or not a whole GGUF file (`local.corrupt_model`).
    """
    try:
        found = Path(path).stat()
        # Opening a pipe or a device would wait or never end.
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(path, "it is not a file")
        with Path(path).open("rb") as file:
            return _parsed(str(path), file, found.st_size)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _unreadable(path, "there is no such file") from error
    except BadGgufError as error:
        raise ModelFileError(
            f"{_named(path)} is not a usable GGUF file: {error}",
            category=Category.LOCAL_CORRUPT_MODEL,
            hint="the file is damaged, cut short or of another kind; fetch it again (`llmbench models pull NAME`)",
        ) from error
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error)) from error
    except ValueError as error:
        raise _unreadable(path, str(error)) from error


def _parsed(path: str, file: BinaryIO, file_size_bytes: int) -> GgufHeader:
    cursor = Cursor(file)
    version = _opening(cursor, file_size_bytes)
    tensor_count, key_count = cursor.u64(), cursor.u64()
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        raise BadGgufError(f"it claims {tensor_count} tensors and {key_count} keys, more than any model has")
    metadata, spans = _metadata(cursor, key_count)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    # A power of two has one bit set; llama.cpp asks for the same.
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise BadGgufError(f"general.alignment must be a power of two, not {alignment!s:.40}")
    tensors = _tensors(cursor, tensor_count)
    data_offset = -(-cursor.position // alignment) * alignment
    _check_extent(tensors, data_offset, alignment, file_size_bytes)
    return GgufHeader(path, version, file_size_bytes, metadata, tensors, data_offset, alignment, spans)


def _opening(cursor: Cursor, file_size_bytes: int) -> int:
    """Magic and version."""
    if file_size_bytes == 0:
        raise BadGgufError("it is empty")
    head = cursor.take(min(file_size_bytes, 24))
    if not head.startswith(MAGIC):
        guess = next((what for start, what in _MISTAKEN if head.startswith(start)), "it does not begin with GGUF")
        raise BadGgufError(guess)
    cursor.rewind(len(head) - len(MAGIC))
    version = cursor.u32()
    if version & 0xFFFF == 0 and version:
        raise BadGgufError("it is a big-endian GGUF file; convert it with gguf-convert-endian of the gguf package")
    if version not in VERSIONS:
        raise BadGgufError(f"its GGUF version is {version}; versions 2 and 3 can be read")
    return version


def _metadata(cursor: Cursor, count: int) -> tuple[dict[str, Value], dict[str, tuple[int, int]]]:
    metadata: dict[str, Value] = {}
    spans: dict[str, tuple[int, int]] = {}
    for _ in range(count):
        start = cursor.position
        key = cursor.string()
        if key in metadata:
            raise BadGgufError(f"the key {key!r:.100} appears twice")
        metadata[key] = cursor.value(cursor.u32())
        spans[key] = (start, cursor.position)
    return metadata, spans


def _tensors(cursor: Cursor, count: int) -> tuple[TensorInfo, ...]:
    tensors = [_tensor(cursor) for _ in range(count)]
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BadGgufError("two tensors have the same name")
    return tuple(tensors)


def _tensor(cursor: Cursor) -> TensorInfo:
    name, dimensions = cursor.string(), cursor.u32()
    if dimensions > MAX_DIMENSIONS:
        raise BadGgufError(f"the tensor {name!r:.100} claims {dimensions} dimensions (most allowed: {MAX_DIMENSIONS})")
    shape = tuple(cursor.u64() for _ in range(dimensions))
    type_id, offset = cursor.u32(), cursor.u64()
    row = TENSOR_TYPES.get(type_id)
    tensor = TensorInfo(name, shape, row[0] if row else f"type {type_id}", offset)
    if tensor.elements >= 1 << 63:
        raise BadGgufError(f"the tensor {name!r:.100} claims {tensor.elements:.3g} elements")
    if row and (shape[0] if shape else 1) % row[1]:
        raise BadGgufError(f"a row of the tensor {name!r:.100} is not a whole number of {row[0]} blocks")
    return tensor


def _check_extent(tensors: tuple[TensorInfo, ...], data_offset: int, alignment: int, file_size_bytes: int) -> None:
    for tensor in tensors:
        if tensor.offset % alignment:
            raise BadGgufError(f"the tensor {tensor.name!r:.100} is not aligned to {alignment} bytes")
        end = data_offset + tensor.offset + (tensor.size_bytes or 0)
        if end > file_size_bytes:
            raise BadGgufError(f"it is cut short: its header promises {end} bytes, the file has {file_size_bytes}")
    if sum(tensor.size_bytes or 0 for tensor in tensors) > file_size_bytes:
        raise BadGgufError("its tensors overlap")


def _shown(value: Value, width: int) -> str:
    if isinstance(value, str | LongArray):
        text = str(value)
    elif isinstance(value, tuple):
        text = "[" + ", ".join(_shown(item, width) for item in value[:width]) + "]"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    safe = display_safe(text[: width + 1], keep="")
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def _named(path: Path | str) -> str:
    return display_safe(str(path), keep="")


def _unreadable(path: Path | str, reason: str) -> ModelFileError:
    return ModelFileError(
        f"cannot read the model file {_named(path)}: {reason}",
        category=Category.MODEL_MISSING,
        hint="check the path; `llmbench models list` shows the models that are here",
    )
