"""Multiple choice by letter or by text, and answers from a closed set of words (`yes` and `no` among them)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from pytest_llmbench.validators.final_answer import Found, Read, ReadLine, afterthoughts, denied, extract
from pytest_llmbench.validators.reply_text import folded, why_nothing
from pytest_llmbench.validators.verdict import Expected, Verdict, differs, right, wrong

LETTERS = "ABCDEFGHIJ"
YES_NO = ("yes", "no")

_LETTER = re.compile(r"(?<![\w'/-])(\()?([A-J])(\)|(?![\w'/-]))(?=( [a-z']+)?)")
_LETTER_LINE = re.compile(r"(?:(?:option|choice) )?\(?([A-Ja-j])(?:\)[.:,]?|[.:,]|$| -)(.*)", re.IGNORECASE)
_POINTING = re.compile(
    r"(?:\b(?:option|choice|answer|letter|is|be|choose|pick|select)\b:? ?[\"']?|: ?)$", re.IGNORECASE
)
_NOT_ARTICLES = {" is", " and", " or", " because", " since", " would"}
"""Words behind `A` and `I` that tell a letter from an article or a pronoun."""


def score_choice(reply: str, expected: Expected) -> Verdict:
    """Whether the reply's one choice, by its letter, its text or both, is the expected letter."""
    reader = _Choices(expected.options)
    return _verdict(reply, expected, reader.read, reader.read_line)


def choice_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    letters = LETTERS[: len(expected.options)]
    if len(letters) != len(expected.options) or len(letters) < 2:
        return f"a choice has 2 to {len(LETTERS)} options, not {len(expected.options)}"
    if expected.answer not in letters or len(expected.answer) != 1:
        return f"the answer {expected.answer!r} is not one of the letters {', '.join(letters)}"
    return _alike(expected.options)


def score_word(reply: str, expected: Expected) -> Verdict:
    """Whether the reply's one word or phrase of the options is the expected one."""
    words = _Words(map(folded, expected.options))
    return _verdict(reply, expected, words.read, words.read_line)


def word_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    if len(expected.options) < 2:
        return f"`one_of` needs at least 2 options, not {len(expected.options)}"
    if folded(expected.answer) not in map(folded, expected.options):
        return f"the answer {expected.answer!r} is not one of the options"
    return _alike(expected.options)


def score_yes_no(reply: str, expected: Expected) -> Verdict:
    """Whether the reply says yes or no, as expected; a `no` within a sentence is no answer (`there is no dog`)."""
    words = _Words(YES_NO)
    return _verdict(reply, expected, words.read_lead, words.read_line)


def yes_no_defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is."""
    return "" if expected.answer in YES_NO else f"the answer {expected.answer!r} is neither yes nor no"


def _verdict(reply: str, expected: Expected, read: Read, read_line: ReadLine) -> Verdict:
    extraction = extract(reply, read, read_line)
    if extraction.several:
        return wrong(f"several different answers: {' and '.join(map(repr, extraction.several))}")
    if extraction.found is None:
        return wrong(why_nothing(reply))
    if extraction.found.value == folded(expected.answer):
        return right(extraction.found.shown)
    return differs(extraction.found.shown, expected.answer)


def _alike(options: Sequence[str]) -> str:
    seen: dict[str, str] = {}
    for option in options:
        if not (key := folded(option)):
            return f"the option {option!r} is empty"
        if key in seen:
            return f"the options {seen[key]!r} and {option!r} are the same"
        seen[key] = option
    return ""


class _Words:
    """Reads answers that are one of a few words or phrases."""

    def __init__(self, folded_phrases: Iterable[str]) -> None:
        self._pattern = _any_of(frozenset(folded_phrases))

    def read(self, text: str) -> Iterator[Found]:
        text = text.casefold()
        for phrase in self._pattern.finditer(text):
            if not denied(text, phrase.start()):
                yield Found(phrase[0], phrase[0])

    def read_lead(self, text: str) -> Iterator[Found]:
        """The answer that a text begins with."""
        if found := self.read_line(text.strip()):
            yield found

    def read_line(self, line: str) -> Found | None:
        """`Yes.` and `Yes, because …` answer; `No way to know`, `yes/no` and `Yes, no` do not."""
        line = line.strip(" *-\"'(").casefold()
        lead = self._pattern.match(line)
        if lead is None or line[lead.end() :].strip(" \"')*")[:1] not in ("", ",", ".", "!", ";", ":", "-"):
            return None
        rest = line[lead.end() :].strip(" ,.!;:-\"')*")
        again = self._pattern.match(rest)
        if again and again[0] != lead[0]:
            return None
        taken_back = any(found.value != lead[0] for text in afterthoughts(rest) for found in self.read(text))
        return None if taken_back else Found(lead[0], lead[0])


class _Choices:
    """Reads choices among lettered options; a text counts as its letter."""

    def __init__(self, options: Sequence[str]) -> None:
        self._letters = LETTERS[: len(options)]
        self._by_text = _letters_by_text(options)
        self._texts = _Words(self._by_text)

    def read(self, text: str) -> Iterator[Found]:
        """Every letter and every option's text that a text names."""
        if alone := self.read_line(text.strip()):
            yield alone
            return
        for letter in self._named(text):
            yield Found(letter.casefold(), letter)
        yield from self._by_texts(text)

    def read_line(self, line: str) -> Found | None:
        """`B`, `(b)`, `B) its text`, `B. Because …` and an option's text are choices; `A cat …` is not one."""
        if letter := self._by_text.get(folded(line)):
            return Found(letter.casefold(), line)
        lead = _LETTER_LINE.fullmatch(line.strip(" *-\"'"))
        if lead is None or lead[1].upper() not in self._letters:
            return None
        chosen = lead[1].upper()
        contradicted = any(other != chosen for other in self._meant(lead[2].strip(" *\"'")))
        return None if contradicted else Found(chosen.casefold(), chosen)

    def _meant(self, rest: str) -> Iterator[str]:
        """The letters that what follows a letter stands for: an explanation may name other options' texts."""
        yield from self._named(rest.upper() if len(folded(rest)) == 1 else rest)
        lead = self._texts.read_line(rest)
        texts = [lead] if lead else []
        texts += [found for text in afterthoughts(rest) for found in self._texts.read(text)]
        yield from (self._by_text[str(found.value)] for found in texts)

    def _by_texts(self, text: str) -> Iterator[Found]:
        for found in self._texts.read(text):
            yield Found(self._by_text[str(found.value)].casefold(), found.shown)

    def _named(self, text: str) -> Iterator[str]:
        for letter in _LETTER.finditer(text):
            if letter[2] in self._letters and _is_letter(text, letter) and not denied(text, letter.start()):
                yield letter[2]


def _letters_by_text(options: Sequence[str]) -> dict[str, str]:
    """Folded text → letter, where the text tells: not an option that is like another, or itself a letter to choose."""
    texts = [folded(option) for option in options]
    letters = {"", *LETTERS[: len(options)].casefold()}
    return {
        text: letter
        for text, letter in zip(texts, LETTERS, strict=False)
        if texts.count(text) == 1 and text not in letters
    }


def _is_letter(text: str, letter: re.Match[str]) -> bool:
    """Not the article `A`, nor the pronoun `I`."""
    if letter[2] not in "AI" or letter[3] or not letter[4] or letter[4] in _NOT_ARTICLES:
        return True
    return _POINTING.search(text[max(0, letter.start() - 12) : letter.start()]) is not None


@lru_cache(256)
def _any_of(phrases: frozenset[str]) -> re.Pattern[str]:
    """Any of the phrases as whole words, the longest first; `no` is not in `know`, nor `5` in `5.5`."""
    longest_first = sorted(phrases - {""}, key=lambda phrase: (-len(phrase), phrase))
    either = "|".join(map(re.escape, longest_first)) or "(?!)"
    return re.compile(rf"(?<![\w-])(?<!\d[.,])(?:{either})(?![\w-]|'\w|[.,]\d)")
