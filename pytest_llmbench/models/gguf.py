"""What a GGUF file says about itself, by a bounded reader of its header. Standard library only.

All text in a header is a stranger's: print it through `display_safe`, as `GgufHeader.shown` does.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models.gguf_bytes import (
    MAX_KEY_BYTES,
    MAX_KEYS,
    MAX_TENSORS,
    BadGgufError,
    Cursor,
    LongArray,
    Value,
)
from pytest_llmbench.models.gguf_tensors import TensorInfo, check_extents, read_tensors
from pytest_llmbench.models.gguf_types import (
    DEFAULT_ALIGNMENT,
    FILE_TYPES,
    FLOAT_TYPES,
    MAGIC,
    VERSIONS,
)

REQUANTIZED_KEY = "llmbench.requantized_from"
"""The metadata key by which a file says that it was made from an already quantized one."""

_MISTAKEN = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself"),
    (b"<", "it looks like a web page"),
    (b"PK\x03\x04", "it is a zip archive"),
)


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
    def name(self) -> str:
        """What the file calls the model; empty where it does not say."""
        return self._text("general.name")

    @property
    def short_name(self) -> str:
        """The model's family, size and tuning (`SmolLM2-135M-Instruct`), as far as the file tells them."""
        parts = (self._text(f"general.{key}") for key in ("basename", "size_label", "finetune"))
        return "-".join(part for part in parts if part)

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
        return self.number("context_length")

    @property
    def chat_template(self) -> str:
        """How a conversation becomes a prompt: a Jinja template by whoever made the file, to be shown escaped only."""
        return self._text("tokenizer.chat_template")

    @property
    def chat_template_sha256(self) -> str | None:
        """Two files of a model with different ones ask it differently; None where there is no template."""
        return hashlib.sha256(self.chat_template.encode()).hexdigest() if self.chat_template else None

    @property
    def has_chat_template(self) -> bool:
        return bool(self.chat_template)

    @property
    def weights_bytes(self) -> int:
        """Memory of the weights: the sum over all tensors, all experts of a mixture included."""
        sizes = [tensor.size_bytes for tensor in self.tensors]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else self.file_size_bytes - self.data_offset

    def number(self, key: str, minimum: int = 1) -> int | None:
        """A whole number among the architecture's own keys (`block_count`); None where it is missing or too small."""
        return self._whole(f"{self.architecture}.{key}", minimum)

    def shown(self, width: int = 120) -> list[tuple[str, str]]:
        """The metadata to print: key and value on one line each, made safe, cut to `width` characters."""
        return [(display_safe(key, keep="")[:width], _shown(value, width)) for key, value in self.metadata.items()]

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
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _unreadable(path, "it is not a file")
        with _opened(Path(path)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _unreadable(path, "it is not a file")
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


def _opened(path: Path) -> BinaryIO:
    """Open without waiting: what was a file a moment ago may be a pipe by now."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | without_waiting))


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
        raise BadGgufError(f"general.alignment must be a power of two, not {alignment!r:.40}")
    tensors = read_tensors(cursor, tensor_count)
    data_offset = -(-cursor.position // alignment) * alignment
    check_extents(tensors, data_offset, alignment, file_size_bytes)
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
        key = cursor.name("a key", MAX_KEY_BYTES)
        if key in metadata:
            raise BadGgufError(f"the key {key!r:.100} appears twice")
        metadata[key] = cursor.value(cursor.u32())
        spans[key] = (start, cursor.position)
    return metadata, spans


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
