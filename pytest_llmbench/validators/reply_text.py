"""A reply's text made ready to be read: reasoning taken off, Unicode forms made one, Markdown and LaTeX undressed.

Every pattern here and in the modules beside takes time in proportion to the text: a reply is hostile, and a megabyte of
brackets must not stop a run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, islice

_REASONING = re.compile(r"<(/?)(?:think|thinking|thought|reasoning|analysis)>", re.IGNORECASE)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹]+")
_VULGAR_FRACTIONS = re.compile("[¼-¾⅐-⅞↉]")
_SPACED_THOUSANDS = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
_SPACES = re.compile(r"[^\S\n]+")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf)\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_LATEX_MARKS = re.compile(r"\\[()\[\],;!]|(?<=\d)\{,\}(?=\d)")
_EMPHASIS = re.compile(r"\*\*|__|`")
_ITALICS = re.compile(r"(?<!\w)_([^_\n]{1,80})_(?!\w)")
_LINE_DRESS = re.compile(r"^(?:[>#]+ ?)+", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?][)\"'*]*(?=\s|$)")
_REFUSAL = re.compile(
    r"\b(?:i'm sorry|i am sorry|i apologi[sz]e|i can't|i cannot|i can not|i'm unable|i am unable|i won't|as an ai)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:the|a|an) (?=.)")
_EDGES = " \t\n.,;:!?\"'()[]{}<>*_~`"

_ONE_FORM = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("−–—‒‐‑", "-"),
        **dict.fromkeys("⁄∕", "/"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", None),
        "\r": "\n",
    }
)


def without_reasoning(reply: str) -> str:
    """The reply less what stands between reasoning tags.

    Tags that were never closed hide all that follows. A closing tag alone hides all before it: some chat templates put
    the opening one at the end of the prompt.
    """
    kept: list[str] = []
    place, opened = 0, False
    for tag in _REASONING.finditer(reply):
        if not tag[1] and not opened:
            kept.append(reply[place : tag.start()])
        if tag[1] and not opened:
            kept.clear()
        opened, place = not tag[1], tag.end()
    return "\n".join(kept if opened else [*kept, reply[place:]])


def one_form(text: str) -> str:
    """The text with Unicode's many forms of a digit, quote, dash or space made one, spaces single, lines kept.

    NFKC alone would make `52` of `5²` and `11/2` of `1½`.
    """
    text = _SUPERSCRIPTS.sub(r"^\g<0>", text)
    text = _VULGAR_FRACTIONS.sub(r" \g<0>", text)
    text = unicodedata.normalize("NFKC", _with_few_marks(_SPACED_THOUSANDS.sub("", text))).translate(_ONE_FORM)
    return _SPACES.sub(" ", text).strip()


def composed(text: str) -> str:
    """The text as NFC, all that differs for a reader kept."""
    return unicodedata.normalize("NFC", _with_few_marks(text))


def undressed(text: str) -> str:
    """Text in one form, without emphasis, headings, quote marks and the LaTeX that wraps an answer."""
    text = _LATEX_TEXT.sub(r" \1", _LATEX_FRACTION.sub(r" \1/\2", text))
    text = _ITALICS.sub(r"\1", _LATEX_MARKS.sub("", text)).replace("\\%", "%").replace("\\$", "$")
    return _SPACES.sub(" ", _LINE_DRESS.sub("", without_emphasis(text)))


def folded(text: str) -> str:
    """A short text for comparison: no case, no article before it, no punctuation around it."""
    return _ARTICLE.sub("", " ".join(one_form(text).casefold().split()).strip(_EDGES)).strip(_EDGES)


def without_emphasis(text: str) -> str:
    """The text without Markdown's bold, underline and code marks."""
    return _EMPHASIS.sub("", text)


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence of a text, and the rest."""
    end = _SENTENCE_END.search(text)
    return (text[: end.end()], text[end.end() :]) if end else (text, "")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, in order."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    if text[start:].strip():
        yield text[start:]


def why_nothing(reply: str) -> str:
    """Why a reply may have no answer that can be read."""
    if not reply.strip():
        return "the reply is empty"
    if not without_reasoning(reply).strip():
        return "the reply is reasoning only, without an answer"
    if _REFUSAL.search(reply.translate(_ONE_FORM)):
        return "the reply declines to answer"
    return "no answer of the form that was asked for"


def _with_few_marks(text: str) -> str:
    """The text with at most 30 combining marks in a row, as UAX #15 has it: sorting more takes their square."""
    if text.isascii():
        return text
    runs = groupby(text, key=_is_mark)
    return "".join("".join(islice(run, 30) if marks else run) for marks, run in runs)


@lru_cache(4096)
def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0
