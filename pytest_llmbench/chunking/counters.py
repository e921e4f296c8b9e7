"""Who counts tokens: the model's own tokenizer, wherever it is to be had, else an estimate by characters.

Each counter tells how many tokens a text has, and where they end: what a text is cut by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from pytest_llmbench.chunking.shapes import Count
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.vllm_api import VllmApi
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra

EXTRA = "tokens"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_STRETCH = re.compile(r".{1,50000}(?=\s|$)|.{1,50000}", re.DOTALL)


class Counter(Protocol):
    """Counts the tokens of texts; any text will do."""

    @property
    def by(self) -> str:
        """Who counts, in words."""

    @property
    def exact(self) -> bool:
        """Whether it is the model's own tokenizer."""

    def count(self, text: str) -> Count:
        """How many tokens a text has, without what a chat's template puts around it."""

    def ends(self, text: str) -> Sequence[int]:
        """Where each token ends: indices into the text that do not fall."""


class Characters:
    """An estimate that needs nothing: letters a quarter of a token each, signs and other scripts more.

    Held against cl100k and o200k it gives 0.9 to 1.4 times the tokens of prose, code, tables and subtitles in Western
    languages; of other scripts 0.6 to 2 times, because vocabularies differ that much.

    Args:
        why: why nobody better counts; empty where that is no news.
    """

    exact = False

    def __init__(self, why: str = "") -> None:
        self.by = f"by its characters: {why}" if why else "by its characters"

    def count(self, text: str) -> Count:
        return Count(math.ceil(sum(map(_weight, text))), self.exact, self.by)

    def ends(self, text: str) -> Sequence[int]:
        totals = accumulate(map(_weight, text))
        return list(_crossings(totals))


class OfServer:
    """The tokenizer of a llama.cpp server, asked at `/tokenize`.

    Args:
        api: the server.
    """

    by = "/tokenize of its server"
    exact = True

    def __init__(self, api: LlamaApi) -> None:
        self.api = api

    def count(self, text: str) -> Count:
        return Count(len(self.api.tokenize(clean(text), parse_special=False)) if text else 0, self.exact, self.by)

    def ends(self, text: str) -> Sequence[int]:
        text = clean(text)
        sizes = [len(piece) for piece in self.api.pieces(text)] if text else []
        return _characters_at(text, sizes)


class OfVllm:
    """The tokenizer of a vLLM server, asked at `/tokenize`. It tells no places, so that these are an estimate.

    Args:
        api: the server.
    """

    by = "/tokenize of its server"
    exact = True

    def __init__(self, api: VllmApi) -> None:
        self.api = api

    def count(self, text: str) -> Count:
        return Count(self.api.tokens(clean(text)) if text else 0, self.exact, self.by)

    def ends(self, text: str) -> Sequence[int]:
        """The places of an estimate by characters, as many as the server counts."""
        guessed, tokens = Characters().ends(text), self.count(text).tokens
        ends = [guessed[at * len(guessed) // tokens] if guessed else len(text) for at in range(1, tokens)]
        return [*ends, len(text)][:tokens]


class OfFile:
    """A `tokenizer.json` of Hugging Face's, read by the `tokenizers` package.

    Args:
        file: it.

    Raises:
        MissingExtraError: the package is not installed.
        UsageError: the file is no tokenizer.
    """

    exact = True

    def __init__(self, file: Path) -> None:
        library = from_extra("tokenizers", EXTRA)
        self.by = f"tokenizers {file.name}"
        try:
            self._tokenizer: Any = library.Tokenizer.from_str(file.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001  the library raises the bare class
            raise UsageError(
                f"{file} is no tokenizer: {error}", hint="a `tokenizer.json` as models bring one"
            ) from None
        self._tokenizer.no_truncation()  # some files cut at 512 tokens, and count so
        self._tokenizer.no_padding()

    def count(self, text: str) -> Count:
        return Count(len(self._encoded(text).ids), self.exact, self.by)

    def ends(self, text: str) -> Sequence[int]:
        return list(accumulate((end for _, end in self._encoded(text).offsets), max))

    def _encoded(self, text: str) -> Any:
        return self._tokenizer.encode(clean(text), add_special_tokens=False)


class OfTiktoken:
    """One of OpenAI's vocabularies.

    Args:
        encoding: a `tiktoken.Encoding`.
    """

    exact = True

    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding
        self.by = f"tiktoken {encoding.name}"

    def count(self, text: str) -> Count:
        return Count(sum(len(tokens) for tokens, _ in self._stretches(text)), self.exact, self.by)

    def ends(self, text: str) -> Sequence[int]:
        ends: list[int] = []
        for tokens, start in self._stretches(text):
            stretch, starts = self._encoding.decode_with_offsets(tokens)
            ends += [start + at for at in [*starts[1:], len(stretch)]]
        return ends

    def _stretches(self, text: str) -> Iterator[tuple[list[int], int]]:
        """Cut at white space where there is any: its time and its stack grow with the square of a long word."""
        for found in _STRETCH.finditer(clean(text)):
            yield self._encoding.encode_ordinary(found[0]), found.start()


def clean(text: str) -> str:
    """The text as UTF-8 can carry it: half a surrogate pair becomes one replacement character, so that places stay."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def _weight(character: str) -> float:
    code = ord(character)
    if code < 0x80:
        return 0.25 if character.isalpha() or character == " " else 0.6
    if code < 0x900:
        return 0.6
    return 1.1 if code < 0x10000 else 2.5


def _crossings(totals: Iterator[float]) -> Iterator[int]:
    """Where a running total passes whole numbers: one end a token."""
    told = 0
    end = 0
    for end, total in enumerate(totals, start=1):
        while told + 1 <= total:
            told += 1
            yield end


def _characters_at(text: str, sizes: Sequence[int]) -> list[int]:
    """Ends in characters of tokens whose sizes are told in bytes.

    Tokenizers that put a space before a text, or normalise it, tell more bytes or fewer than it has: the places are
    stretched to fit, and are off by that much at most.
    """
    total = sum(sizes)
    size = len(text.encode())
    if not total:
        return [len(text)] * len(sizes)
    ends = [end * size // total for end in accumulate(sizes)]
    if text.isascii():
        return ends
    at, places = 0, [0] * (size + 1)
    for index, character in enumerate(text):
        width = len(character.encode())
        places[at + 1 : at + width + 1] = [index + 1] * width
        at += width
    return [places[end] for end in ends]
