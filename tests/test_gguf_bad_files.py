"""Damaged and hostile files: an error that says what is wrong, never a crash, never much memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from gguf_samples import ARRAY, F32, Q8_0, STRING, UINT8, array, entry, gguf, text

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import gguf_bytes
from pytest_llmbench.models.gguf import read_header

HUGE = 1 << 62
UINT8_TENSOR = 24
TINY = gguf()


def deep(levels: int) -> bytes:
    """An array in an array in an array ..."""
    return struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * levels + struct.pack("<IQ", UINT8, 0)


def tensors(*listed: tuple[bytes | str, int], data: int = 4096) -> bytes:
    """A file whose header lists tensors of 64 floats by name and offset."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), 0)
    return head + b"".join(text(n) + struct.pack("<IQIQ", 1, 64, F32, at) for n, at in listed) + bytes(data)


BAD = {
    "an empty file": (b"", "it is empty"),
    "one byte": (b"G", "does not begin with GGUF"),
    "the magic only": (b"GGUF", "ends at byte 4"),
    "zeros": (bytes(4096), "does not begin with GGUF"),
    "a web page": (b"<!DOCTYPE html><html>404", "looks like a web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "zip archive"),
    "version 1": (gguf(version=1), "version is 1"),
    "a version from the future": (gguf(version=9), "version is 9"),
    "another byte order": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "too many keys": (gguf(key_count=HUGE), "more than any model has"),
    "too many tensors": (gguf(tensor_count=HUGE), "more than any model has"),
    "fewer keys than claimed": (gguf(key_count=1000), "in its header|unknown value type|claims"),
    "a key of absurd length": (gguf({}, key_count=1) [:24] + struct.pack("<Q", HUGE), "a text claims"),
    "an array of absurd length": (gguf({"a": array(UINT8, [], HUGE)}), "an array claims"),
    "an array of strings that is not there": (gguf({"a": array(STRING, [], 1 << 21)}), "in its header|a text claims"),
    "a type nobody knows": (gguf({"a": struct.pack("<I", 99)}), "unknown value type 99"),
    "an array of a type nobody knows": (gguf({"a": array(99, [], 4)}), "unknown value type 99"),
    "an array of arrays": (gguf({"a": deep(1)}), "array of arrays"),
    "a bottomless array": (gguf({"a": deep(100_000)}), "array of arrays"),
    "more texts than any vocabulary": (
        gguf({f"a{n}": array(STRING, [text("")] * (1 << 12), 1 << 20) for n in range(5)}), "claims|ends at"
    ),
    "texts without end": (gguf({f"t{n}": "x" * (1 << 20) for n in range(9)}), "longer than 8 MiB together"),
    "a key without a name": (gguf({"": 1}), "name of a key is empty"),
    "a key with a NUL in it": (gguf({"general\0name": 1}), "name of a key is empty or holds a NUL"),
    "a key that is not UTF-8": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"\xff") + bytes(9), "not UTF-8"),
    "a key as long as a text": (gguf({"k" * 70_000: 1}), "a text claims 70000 bytes"),
    "a key twice": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + entry("a", 1) * 2, "appears twice"),
    "an alignment of 0": (gguf({"general.alignment": 0}), "power of two, not 0"),
    "an alignment that is a text": (
        gguf({"general.alignment": "\x1b[2J\u202e32"}), r"power of two, not '\\x1b\[2J\\u202e32'"
    ),
    "an odd alignment": (gguf({"general.alignment": 33}), "power of two, not 33"),
    "too many dimensions": (gguf({}, {"t": ((1,) * 9, F32, bytes(4))}), "9 dimensions"),
    "a tensor of absurd size": (gguf({}, {"t": ((1 << 40, 1 << 40), F32, b"")}), "claims 1.21e\\+24 elements"),
    "a row that is no whole block": (gguf({}, {"t": ((33,), Q8_0, bytes(34))}), "whole number of Q8_0 blocks"),
    "a tensor of nothing": (gguf({}, {"t": ((8, 0), F32, b"")}), "claims 0 elements"),
    "dimensions that overflow": (gguf({}, {"t": ((1 << 63, 1 << 63, 2, 2), F32, b"")}), "elements"),
    "a tensor twice": (tensors(("t", 0), ("t", 256)), "two tensors have the same name"),
    "a tensor without a name": (tensors(("", 0)), "name of a tensor is empty"),
    "a tensor with a NUL in its name": (tensors(("t\0a", 0), ("t\0b", 256)), "holds a NUL"),
    "a tensor whose name is not UTF-8": (tensors((b"\xc3", 0)), "not UTF-8"),
    "a tensor with a name without end": (tensors(("t" * 300, 0)), "a text claims 300 bytes"),
    "tensors in one place": (tensors(("a", 0), ("b", 0)), "overlap: 'a' and 'b'"),
    "tensors that overlap by a little": (tensors(("b", 224), ("a", 0)), "overlap: 'a' and 'b'"),
    "tensors of an unknown type in one place": (
        b"GGUF" + struct.pack("<IQQ", 3, 2, 0)
        + b"".join(text(f"t{n}") + struct.pack("<IQIQ", 1, 64, 99, 0) for n in range(2)) + bytes(400),
        "overlap",
    ),
    "an offset beyond everything": (tensors(("t", (1 << 64) - 32)), "it is cut short"),
    "an odd offset": (tensors(("t", 7)), "not aligned"),
    "weights that are cut short": (TINY[:-100], "it is cut short"),
    "no weights at all": (TINY[:-256], "it is cut short"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path, case: str) -> None:
    """Each kind of damage is named in the error, which counts as a corrupt model."""
    data, reason = BAD[case]
    file = tmp_path / "bad.gguf"
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match=reason) as caught:
        read_header(file)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert "bad.gguf" in caught.value.message
    assert caught.value.hint


NO_FILES = ("nothing", "a folder", "a pipe", "below a file", "a null character", "a circle of links", "an endless name")
DEVICE = Path("/dev/zero")


@pytest.mark.parametrize("kind", [*NO_FILES, *(["a device"] if DEVICE.exists() else [])])
def test_what_is_no_file_is_a_missing_model(tmp_path: Path, kind: str) -> None:
    """A path that leads to no file is told at once; a pipe is not waited on."""
    path = tmp_path / "x.gguf"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "below a file":
        path.write_bytes(TINY)
        path /= "y.gguf"
    elif kind == "a null character":
        path = Path(f"{path}\0")
    elif kind == "a circle of links":
        path.symlink_to(tmp_path / "y.gguf")
        (tmp_path / "y.gguf").symlink_to(path)
    elif kind == "an endless name":
        path = tmp_path / f"{'x' * 5000}.gguf"
    elif kind == "a device":
        path = DEVICE
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.category is Category.MODEL_MISSING


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """There is no length at which a part of a file passes for the whole."""
    file = tmp_path / "cut.gguf"
    for size in range(len(TINY)):
        file.write_bytes(TINY[:size])
        with pytest.raises(ModelFileError):
            read_header(file)
    file.write_bytes(TINY)
    assert read_header(file).tensor_count == 1


@pytest.mark.parametrize(
    "claim",
    [array(STRING, [], 1 << 22), array(UINT8, [bytes(1 << 20)], 1 << 22), array(ARRAY, [], 1 << 17)],
    ids=["strings", "bytes", "arrays"],
)
def test_claims_do_not_cost_memory(tmp_path: Path, claim: bytes) -> None:
    """A small file that claims much makes the reader use memory for what is there, not for what is claimed."""
    file = tmp_path / "claims.gguf"
    file.write_bytes(gguf({f"key{n}": claim for n in range(3)}, key_count=1 << 14) + bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            read_header(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_huge_sparse_file_costs_nothing(tmp_path: Path) -> None:
    """Terabytes of zeros behind a good header, or instead of one, are neither read nor waited for."""
    good, zeros = tmp_path / "good.gguf", tmp_path / "zeros.gguf"
    for file, head in ((good, TINY), (zeros, b"")):
        file.write_bytes(head)
        os.truncate(file, 1 << 40)
    assert read_header(good).file_size_bytes == 1 << 40
    with pytest.raises(ModelFileError, match="does not begin with GGUF"):
        read_header(zeros)


def test_a_pipe_that_takes_a_files_place_is_not_waited_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and opening anything can happen; what was opened is looked at again."""
    file, pipe = tmp_path / "x.gguf", tmp_path / "pipe"
    file.write_bytes(TINY)
    os.mkfifo(pipe)
    look = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: look(file if path == pipe else path, **how))
    with pytest.raises(ModelFileError, match="it is not a file"):
        read_header(pipe)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_worst_header_that_is_read_stays_within_the_stated_memory(tmp_path: Path) -> None:
    """Every cap reached at once: as many keys, texts, kept items and tensors as are read at all, in 64 MiB."""
    wide = struct.pack("<I", STRING) + text("😀".encode() + b"\xff" * ((1 << 20) - 4))
    numbers = array(11, [struct.pack("<q", (1 << 62) + n) for n in range(gguf_bytes.KEPT_ITEMS)])
    metadata: dict[str, str | float | bytes] = {f"text{n}": wide for n in range(5)}
    metadata |= {f"numbers{n}": numbers for n in range(60)}
    metadata["words"] = array(STRING, [text("")] * gguf_bytes.MAX_ARRAY_ITEMS)
    metadata |= {f"k{n:05}": struct.pack("<Id", 12, 1.5 + n) for n in range(gguf_bytes.MAX_KEYS - len(metadata))}
    head = b"GGUF" + struct.pack("<IQQ", 3, gguf_bytes.MAX_TENSORS, len(metadata))
    head += b"".join(entry(key, value) for key, value in metadata.items())
    shape = struct.pack("<I4QI", 4, 1024, 1, 1, 1, UINT8_TENSOR)
    head += b"".join(text(f"t{n:08}") + shape + struct.pack("<Q", n << 10) for n in range(gguf_bytes.MAX_TENSORS))
    file = tmp_path / "worst.gguf"
    file.write_bytes(head)
    os.truncate(file, len(head) + (gguf_bytes.MAX_TENSORS << 10) + 32)
    del head, metadata
    tracemalloc.start()
    try:
        assert read_header(file).tensor_count == gguf_bytes.MAX_TENSORS
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
