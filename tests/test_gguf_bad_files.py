"""Damaged and hostile files: an error that says what is wrong, never a crash, never much memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from gguf_samples import ARRAY, F32, LLAMA, Q8_0, STRING, UINT8, array, entry, gguf, text
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.servers.gguf import read_header

HUGE = 1 << 62
TINY = gguf()


def deep(levels: int) -> bytes:
    """An array in an array in an array ..."""
    return struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * levels + struct.pack("<IQ", UINT8, 0)


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
    "a bottomless array": (gguf({"a": deep(100)}), "nested more than"),
    "a key twice": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + entry("a", 1) * 2, "appears twice"),
    "an alignment of 0": (gguf({"general.alignment": 0}), "power of two, not 0"),
    "an odd alignment": (gguf({"general.alignment": 33}), "power of two, not 33"),
    "too many dimensions": (gguf({}, {"t": ((1,) * 9, F32, bytes(4))}), "9 dimensions"),
    "a tensor of absurd size": (gguf({}, {"t": ((1 << 40, 1 << 40), F32, b"")}), "claims 1.21e\\+24 elements"),
    "a row that is no whole block": (gguf({}, {"t": ((33,), Q8_0, bytes(34))}), "whole number of Q8_0 blocks"),
    "a tensor twice": (
        b"GGUF" + struct.pack("<IQQ", 3, 2, 0) + (text("t") + struct.pack("<IQIQ", 1, 8, F32, 0)) * 2 + bytes(99),
        "two tensors have the same name",
    ),
    "tensors that overlap": (
        b"GGUF" + struct.pack("<IQQ", 3, 9, 0)
        + b"".join(text(f"t{n}") + struct.pack("<IQIQ", 1, 64, F32, 0) for n in range(9)) + bytes(400),
        "its tensors overlap",
    ),
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


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a pipe", "below a file", "a null character"])
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
    [array(STRING, [], 1 << 22), array(UINT8, [bytes(1 << 20)], 1 << 22), array(ARRAY, [], 1 << 17), deep(3)],
    ids=["strings", "bytes", "arrays", "deep"],
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
    assert peak < 32 << 20


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that all examples overwrite."""
    return tmp_path_factory.mktemp("fuzz") / "fuzz.gguf"


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
@example(data=b"GGUF\x03\x00\x00\x00")
def test_any_bytes_parse_or_are_refused(scratch: Path, data: bytes) -> None:
    """Whatever a file holds, the reader answers with a header or a ModelFileError."""
    scratch.write_bytes(data)
    _read_or_refuse(scratch)
    scratch.write_bytes(TINY[:24] + data)
    _read_or_refuse(scratch)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(gguf(LLAMA)) - 1),
    put=st.one_of(st.binary(min_size=1, max_size=16), st.sampled_from([b"\xff" * 8, bytes(8), b"\x00\x00\x00\x80"])),
)
def test_a_damaged_header_parses_or_is_refused(scratch: Path, at: int, put: bytes) -> None:
    """Flipped bytes anywhere in a good file do no more than change what it says, or have it refused."""
    scratch.write_bytes(TINY[:at] + put + TINY[at + len(put) :])
    _read_or_refuse(scratch)


def _read_or_refuse(file: Path) -> None:
    """Read a header and everything that is derived from it."""
    try:
        header = read_header(file)
    except ModelFileError:
        return
    assert header.weights_bytes <= header.file_size_bytes
    assert not any(char < " " or char == "\x7f" for row in header.shown() for char in "".join(row))
    assert header.kv_bytes(4096) is None or isinstance(header.kv_bytes(4096), int)
    assert isinstance(header.quantization, str)
