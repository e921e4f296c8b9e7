"""Quantizations made from other ones: real weights, read back, and answering in the embedded engine."""

from __future__ import annotations

import json
import random
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_samples import F16, F32, LLAMA
from gguf_samples import gguf as gguf_bytes
from model_stores import NAME, define, files_in, start, store

from pytest_llmbench import config
from pytest_llmbench.errors import MissingExtraError, UsageError
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.model_store import ModelStore
from pytest_llmbench.records import ModelFile

NOISE = random.Random(7)


def floats(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(NOISE.gauss(0, 1) for _ in range(count)))


TENSORS = {
    "token_embd.weight": ((64, 5000), F32, floats(64 * 5000)),
    "blk.0.attn_norm.weight": ((64,), F32, floats(64)),
    "blk.0.ffn_gate_inp.weight": ((64, 4), F32, floats(64 * 4)),
    "blk.0.odd.weight": ((33, 2), F32, floats(66)),
    "blk.0.experts.weight": ((32, 3, 2), F32, floats(32 * 6)),
}
METADATA = {**LLAMA, "general.name": "Tïny", "tokenizer.chat_template": "{{ messages }}"}


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    """A store with one model, `tiny:F32`, whose tensors are of all kinds."""
    file = tmp_path / "tiny.gguf"
    file.write_bytes(gguf_bytes(METADATA, TENSORS))
    return store(tmp_path, f"path:{file}", name="tiny:F32")


@pytest.mark.parametrize("quant", ["Q8_0", "Q5_0", "Q4_0"])
def test_weights_become_what_ggml_makes_of_them(models: ModelStore, quant: str) -> None:
    """Matrices are quantized bit for bit as the gguf package does it; vectors, gates and odd rows stay as they are."""
    reader = gguf.GGUFReader(models.quantize("tiny", quant).path)
    kind = gguf.GGMLQuantizationType[quant]
    for tensor in reader.tensors:
        shape, _, data = TENSORS[tensor.name]
        original = np.frombuffer(data, np.float32).reshape(tuple(reversed(shape)))
        if tensor.name in {"token_embd.weight", "blk.0.experts.weight"}:
            assert tensor.tensor_type is kind
            assert np.array_equal(tensor.data, gguf.quantize(original, kind))
        else:
            assert tensor.tensor_type is gguf.GGMLQuantizationType.F32
            assert np.array_equal(tensor.data, original)


def test_metadata_is_kept(models: ModelStore) -> None:
    """All keys come along; file type, quantization version and who quantized it are set."""
    metadata = read_header(models.quantize("tiny", "Q8_0").path).metadata
    assert metadata == {
        **METADATA,
        "general.file_type": 7,
        "general.quantization_version": 2,
        "general.quantized_by": "pytest-llmbench",
    }


def test_what_is_made_from_floats_is_not_called_requantized(models: ModelStore) -> None:
    """Nothing was lost before."""
    made = models.quantize("tiny", "q8_0")
    assert (made.name, made.label, made.requantized_from) == (NAME, NAME, None)
    assert read_header(made.path).quantization == "Q8_0"


def test_what_is_made_from_a_quantized_file_says_so_wherever_it_is_named(models: ModelStore, tmp_path: Path) -> None:
    """In the record, in the list, and in the file itself, so that a copy of it elsewhere still tells."""
    models.quantize("tiny:F32", "Q8_0")
    made = models.quantize("tiny:Q8_0", "Q4_0")
    label = "tiny:Q4_0 (requantized from Q8_0)"
    assert made.label == models.find("tiny:q4_0").label == label
    assert [entry.label for entry in models.entries()] == ["tiny:F32", label, "tiny:Q8_0"]
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(Path(made.path).read_bytes())
    assert models.find(str(copy)).requantized_from == "Q8_0"
    assert models.quantize(str(copy), "Q5_0").label == "copy:Q5_0 (requantized from Q4_0, from Q8_0)"


def test_a_quantization_that_is_here_is_not_made_again(models: ModelStore) -> None:
    """Unless the file it was made from has changed."""
    first = models.quantize("tiny:F32", "Q8_0")
    stamp = Path(first.path).stat().st_mtime_ns
    assert models.quantize("tiny:F32", "Q8_0") == first
    assert Path(first.path).stat().st_mtime_ns == stamp
    Path(models.find("tiny:F32").path).write_bytes(gguf_bytes({**METADATA, "general.name": "other"}, TENSORS))
    assert models.quantize("tiny:F32", "Q8_0").sha256 != first.sha256


def test_a_damaged_quantization_is_made_anew(models: ModelStore) -> None:
    """The hint of the error is the command that mends it."""
    made = models.quantize("tiny:F32", "Q8_0")
    Path(made.path).write_bytes(Path(made.path).read_bytes()[:-1] + b"!")
    with pytest.raises(Exception, match="has changed since it was stored") as caught:
        models.find("tiny:Q8_0")
    assert "llmbench models quantize tiny:F32 Q8_0" in str(caught.value)
    assert models.quantize("tiny:F32", "Q8_0") == made


def test_progress_ends_at_the_whole(models: ModelStore) -> None:
    """Bytes of the source, so that a bar can be drawn."""
    told: list[tuple[int, int | None, str]] = []
    models.quantize("tiny:F32", "Q8_0", lambda done, total, what: told.append((done, total, what)))
    total = sum(len(data) for _, _, data in TENSORS.values())
    assert told[-1] == (total, total, "making tiny:Q8_0")


def test_half_floats_can_be_quantized(tmp_path: Path) -> None:
    """F16 is what models are published in."""
    half = np.random.default_rng(1).normal(size=(8, 64)).astype(np.float16)
    file = tmp_path / "half.gguf"
    file.write_bytes(gguf_bytes(LLAMA, {"w": ((64, 8), F16, half.tobytes())}))
    (tensor,) = gguf.GGUFReader(store(tmp_path).quantize(str(file), "Q8_0").path).tensors
    read_back = gguf.dequantize(tensor.data, tensor.tensor_type)
    assert np.abs(read_back - half.astype(np.float32)).max() < 0.02


@pytest.mark.parametrize(("quant", "near"), [("Q8", "did you mean 'Q8_0'"), ("Q4_K_M", "Q8_0, Q5_0, Q4_0")])
def test_a_quantization_that_cannot_be_made_is_refused(models: ModelStore, quant: str, near: str) -> None:
    """The error lists those that can."""
    with pytest.raises(UsageError, match="cannot make the quantization") as caught:
        models.quantize("tiny", quant)
    assert near in str(caught.value)


def test_a_quantization_that_is_configured_is_not_overwritten(tmp_path: Path) -> None:
    """llmbench.yaml says where that one comes from."""
    quants = {**define("path:/f.gguf", name="m:F32")["m"].quants, **define("pypi:x", name="m:Q8_0")["m"].quants}
    models = ModelStore(tmp_path, {"m": config.ModelDef(quants=quants)}, offline=True)
    with pytest.raises(UsageError, match="m:Q8_0 is already defined, from pypi:x"):
        models.quantize("m:F32", "Q8_0")


def test_without_the_gguf_package_the_extra_is_named(models: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is downloaded or written."""
    monkeypatch.setitem(sys.modules, "gguf.quants", None)
    with pytest.raises(MissingExtraError, match="the gguf package") as caught:
        models.quantize("tiny", "Q8_0")
    assert caught.value.hint == "pip install 'pytest-llmbench[local]'"


@pytest.mark.usefixtures("without_coverage")
def test_a_disk_that_fills_up_leaves_no_half_quantization(models: ModelStore, tmp_path: Path) -> None:
    """The file gets its name only when whole."""
    script = """
import resource, sys
from pathlib import Path
from pytest_llmbench.models.model_store import ModelStore
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    ModelStore(Path(sys.argv[1]), {}, offline=True).quantize(sys.argv[2], "Q8_0")
except Exception as error:
    print(error.category)
"""
    out, errors = start(script, tmp_path / "models", models.find("tiny:F32").path).communicate(timeout=120)
    assert (out.strip(), errors) == ("local.disk_full", "")
    assert not [name for name in files_in(tmp_path / "models") if name.endswith(".gguf")]


ASK = """
import json, sys, urllib.request
import xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.port, p.n_gpu_layers, p.fit_params = sys.argv[1], 512, 0, 0, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
question = {"role": "user", "content": "What is the chemical symbol for gold?"}
body = {"messages": [question], "max_tokens": 16, "temperature": 0}
request = urllib.request.Request(
    server.listening_address + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
)
with urllib.request.urlopen(request) as response:
    print("ANSWER", response.read().decode())
"""


def answer_of(model: ModelFile) -> str:
    """What the embedded engine says to a question, with this file."""
    out, errors = start(ASK, model.path).communicate(timeout=150)
    answers = [line.removeprefix("ANSWER ") for line in out.splitlines() if line.startswith("ANSWER ")]
    assert answers, errors[-2000:]
    return str(json.loads(answers[0])["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "quant", ["Q8_0", pytest.param("Q5_0", marks=pytest.mark.slow), pytest.param("Q4_0", marks=pytest.mark.slow)]
)
def test_a_real_model_answers_after_requantizing(smollm2: ModelFile, tmp_path: Path, quant: str) -> None:
    """The engine loads the file, and it still knows what it knew."""
    models = ModelStore(tmp_path, define(f"path:{smollm2.path}", name="smollm2-135m:Q4_1"), offline=True)
    made = models.quantize("smollm2-135m:Q4_1", quant)
    assert made.label == f"smollm2-135m:{quant} (requantized from Q4_1)"
    assert "Au" in answer_of(made)
