"""The GGUF header reader on real and on tiny files."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import pytest
from gguf_samples import F16, F32, LLAMA, Q8_0, STRING, UINT32, array, text
from gguf_samples import gguf as gguf_bytes

from pytest_llmbench.models.gguf import GgufHeader, read_header
from pytest_llmbench.models.gguf_bytes import LongArray
from pytest_llmbench.models.gguf_types import FILE_TYPES, TENSOR_TYPES
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers.memory_layers import kv_bytes

MIB = 1 << 20


def header_of(folder: Path, data: bytes) -> GgufHeader:
    file = folder / "tiny.gguf"
    file.write_bytes(data)
    return read_header(file)


def test_a_real_model_says_what_it_is(smollm2: ModelFile) -> None:
    """Architecture, quantization, size, context and chat template are read off the header."""
    header = read_header(smollm2.path)
    assert (header.architecture, header.quantization, header.version) == ("llama", "Q4_1", 3)
    assert header.is_quantized
    assert header.requantized_from is None
    assert header.parameter_count == 134_515_008
    assert header.context_length == 8192
    assert header.has_chat_template
    assert header.metadata["tokenizer.ggml.tokens"] == LongArray("string", 49152)


def test_the_reader_agrees_with_the_gguf_package(smollm2: ModelFile) -> None:
    """Names, shapes, types, places and sizes of all tensors are those that ggml's own reader finds."""
    header, theirs = read_header(smollm2.path), gguf.GGUFReader(smollm2.path)
    ours = [(t.name, t.shape, t.type, header.data_offset + t.offset, t.size_bytes) for t in header.tensors]
    assert ours == [
        (t.name, tuple(t.shape.tolist()), t.tensor_type.name, t.data_offset, t.n_bytes) for t in theirs.tensors
    ]
    assert set(header.metadata) == {name for name in theirs.fields if not name.startswith("GGUF.")}


def test_the_type_tables_are_those_of_the_gguf_package() -> None:
    """Every type we name has the number and the block size that ggml gives it."""
    for number, (name, block, block_bytes) in TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (block, block_bytes))
    for number, name in FILE_TYPES.items():
        assert gguf.LlamaFileType(number).name in {f"MOSTLY_{name}", f"ALL_{name}"}


@pytest.mark.parametrize(
    ("context", "slots", "kv_type", "mib"),
    [(2048, 1, "f16", 45.0), (8192, 1, "q8_0", 95.625), (512, 4, "f16", 45.0), (100, 1, "f32", 11.25)],
)
def test_kv_memory_is_what_llama_cpp_allocates(
    smollm2: ModelFile, context: int, slots: int, kv_type: str, mib: float
) -> None:
    """The formula gives the sizes that llama-server logged for this model; a context is rounded up to 256 tokens."""
    assert kv_bytes(read_header(smollm2.path), context, slots, kv_type) == mib * MIB


def test_kv_memory_counts_the_heads_of_each_layer(tmp_path: Path) -> None:
    """A file may list KV heads layer by layer; a layer with none (recurrent) needs no cache."""
    heads = array(UINT32, [struct.pack("<I", n) for n in (4, 0)])
    header = header_of(tmp_path, gguf_bytes({**LLAMA, "llama.attention.head_count_kv": heads}))
    assert kv_bytes(header, 256) == 256 * (4 + 0) * (16 + 16) * 2


@pytest.mark.parametrize("gone", ["llama.block_count", "llama.embedding_length", "general.architecture"])
def test_kv_memory_is_unknown_where_the_header_does_not_tell(tmp_path: Path, gone: str) -> None:
    """Not known is None, not a guess."""
    known = {key: value for key, value in LLAMA.items() if key != gone}
    assert kv_bytes(header_of(tmp_path, gguf_bytes(known)), 4096) is None


def test_kv_memory_of_an_unknown_cache_type_is_unknown(tmp_path: Path) -> None:
    """A type that we have no size for gives None."""
    assert kv_bytes(header_of(tmp_path, gguf_bytes()), 4096, kv_type="q3_9") is None


def test_a_file_that_does_not_tell_its_quantization_is_named_after_most_of_its_bytes(tmp_path: Path) -> None:
    """Small float tensors do not make a quantized file a float one."""
    tensors = {
        "a.weight": ((64, 8), Q8_0, bytes(64 * 8 // 32 * 34)),
        "b.weight": ((8,), F32, bytes(32)),
        "c.weight": ((8,), F16, bytes(16)),
    }
    header = header_of(tmp_path, gguf_bytes({"general.architecture": "llama"}, tensors))
    assert (header.quantization, header.is_quantized) == ("Q8_0", True)


def test_long_arrays_are_skipped_and_short_ones_kept(tmp_path: Path) -> None:
    """Vocabularies are told by type and length only, so that reading a header needs little memory."""
    words = array(STRING, [text("word")] * 5000)
    scores = array(6, [struct.pack("<f", 1.5)] * 5000)
    few = array(STRING, [text("de"), text("en")])
    header = header_of(tmp_path, gguf_bytes({"words": words, "scores": scores, "languages": few, "after": 7}))
    assert str(header.metadata["words"]) == "5000 × string"
    assert str(header.metadata["scores"]) == "5000 × float32"
    assert header.metadata["languages"] == ("de", "en")
    assert header.metadata["after"] == 7


def test_text_that_is_not_utf_8_is_read_as_engines_read_it(tmp_path: Path) -> None:
    """An author's name in Latin-1 is no reason to refuse a model that works."""
    author = struct.pack("<I", STRING) + text("Jos\xe9".encode("latin-1"))
    assert header_of(tmp_path, gguf_bytes({"general.author": author})).metadata["general.author"] == "Jos\ufffd"


def test_a_file_says_what_it_was_requantized_from(tmp_path: Path) -> None:
    """The key survives wherever the file is copied."""
    header = header_of(tmp_path, gguf_bytes({"llmbench.requantized_from": "Q4_1"}))
    assert header.requantized_from == "Q4_1"


def test_metadata_is_shown_without_steering_the_terminal(tmp_path: Path) -> None:
    """Escape sequences and line breaks in keys and values come out as visible glyphs, long values are cut."""
    header = header_of(
        tmp_path,
        gguf_bytes({"general.name": "x\x1b]0;owned\x07\n\u202ey", "bad\x1bkey": 1, "long": "a" * 500, "pi": 3.25}),
    )
    shown = dict(header.shown(width=40))
    assert shown["general.name"] == "x␛]0;owned␇␊⟨U+202E⟩y"
    assert shown["bad␛key"] == "1"
    assert shown["long"] == "a" * 39 + "…"
    assert shown["pi"] == "3.25"
