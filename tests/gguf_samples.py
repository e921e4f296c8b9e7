"""Tiny GGUF files and wheels that hold them, made byte by byte so that any of them can be wrong on purpose."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

UINT8, UINT16, UINT32, INT32, FLOAT32, STRING, ARRAY = 0, 2, 4, 5, 6, 8, 9
F32, F16, Q8_0 = 0, 1, 8

LLAMA: Mapping[str, str | int] = {
    "general.architecture": "llama",
    "general.file_type": 0,
    "llama.block_count": 2,
    "llama.context_length": 512,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
}


def text(value: str | bytes) -> bytes:
    """A GGUF string."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def entry(key: str, value: str | float | bytes) -> bytes:
    """A metadata entry; bytes are a type number and value already packed."""
    if isinstance(value, bytes):
        return text(key) + value
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", FLOAT32, value)
    return text(key) + struct.pack("<II", UINT32, value)


def array(kind: int, items: list[bytes], count: int | None = None) -> bytes:
    """An array value (for `entry`) that claims `count` items."""
    return struct.pack("<IIQ", ARRAY, kind, len(items) if count is None else count) + b"".join(items)


def gguf(
    metadata: Mapping[str, str | float | bytes] = LLAMA,
    tensors: Mapping[str, tuple[tuple[int, ...], int, bytes]] | None = None,
    *,
    version: int = 3,
    key_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    """A GGUF file.

    Args:
        metadata: key → value.
        tensors: name → (shape, type number, data); by default one row of 64 floats.
        version: as the header shall say.
        key_count: what the header claims, if not the truth.
        tensor_count: what the header claims, if not the truth.
    """
    if tensors is None:
        tensors = {"token_embd.weight": ((64, 1), F32, struct.pack("<64f", *range(64)))}
    head = b"GGUF" + struct.pack("<I", version)
    head += struct.pack("<Q", len(tensors) if tensor_count is None else tensor_count)
    head += struct.pack("<Q", len(metadata) if key_count is None else key_count)
    head += b"".join(entry(key, value) for key, value in metadata.items())
    data = b""
    for name, (shape, kind, content) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", kind, len(data))
        data += content + bytes(-len(content) % 32)
    return head + bytes(-len(head) % 32) + data


def noisy(kilobytes: int, seed: int = 1, metadata: Mapping[str, str | float | bytes] = LLAMA) -> bytes:
    """A GGUF file with about that many kilobytes of random weights."""
    floats = 64 * 4 * kilobytes
    return gguf(metadata, {f"noise.{seed}": ((64, 4 * kilobytes), F32, random.Random(seed).randbytes(4 * floats))})


def split_gguf(count: int, kilobytes: int = 8) -> list[bytes]:
    """The files of a model in several parts, as gguf-split writes them: the first one has the metadata."""
    parts = []
    for number in range(count):
        told = {"split.no": struct.pack("<IH", UINT16, number), "split.count": struct.pack("<IH", UINT16, count)}
        told["split.tensors.count"] = struct.pack("<Ii", INT32, count)
        parts.append(noisy(kilobytes, number + 1, {**(LLAMA if number == 0 else {}), **told}))
    return parts


def wheel(folder: Path, package: str, files: Mapping[str, bytes], version: str = "1.0") -> Path:
    """A wheel that pip takes, in a folder that PIP_FIND_LINKS may name."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{package}-{version}.dist-info"
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path
