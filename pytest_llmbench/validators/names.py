"""The proper names that a text mentions, told by their capital letters; and whether a source mentions them, too.

A single capital word that begins a sentence may be any word, and is left out. Where all nouns have capitals, as in
German, only names of two words and more are told from them. Scripts without capitals have no names here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+){0,5}|[.!?:;\n\"“(\[*|•#>—–]")
_LETTERS = re.compile(r"[^\W\d_]+")
_HEADING = re.compile(r"^[ \t]*(?:#.*|\*\*[^*\n]{1,120}\*\*:?|[^\n:]{1,60}:)[ \t]*$", re.MULTILINE)
_LABEL = re.compile(r"\*\*[^*\n]{1,60}:\*\*|\*\*[^*\n]{1,60}\*\*:|^[ \t]*[-*•]?[ \t]*[A-Z][^\n:.]{0,30}:", re.MULTILINE)
_PARTICLES_TEXT = "de del della la le van von der den di da du dos al bin ibn ter ten zu zur"
_COMMON_TEXT = """
a an the this that these those it its he she they we you i my our your their his her in on at by for from to of with and
or but if as is are was were be been not no yes all both each every some any many most more less other another one two
three after before during since until while when where what who why how however therefore thus also then there here
finally first second third next last overall according although because despite based please note january february march
april may june july august september october november december monday tuesday wednesday thursday friday saturday sunday
mr mrs ms dr prof sir madam dear i'm i'll i've i'd ok am pm q
der die das den dem des ein eine einen einem einer und oder aber mit von im am beim zum zur für nach vor seit bei laut
herr frau wenn dass es sie er wir ich
"""
_GERMAN_TEXT = "der die das und ist nicht mit ein eine von zu den im auf für sich des dem wird werden"
_PARTICLES, _COMMON, _GERMAN = (frozenset(each.split()) for each in (_PARTICLES_TEXT, _COMMON_TEXT, _GERMAN_TEXT))
_WINDOW = 4
"""Words that may stand between the parts of a name in the source: `Anna Maria von Schmidt` is `Anna Schmidt`."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it stands in a text."""

    words: tuple[str, ...]
    may_begin_with_any_word: bool
    """Its first word need be no part of it: a sentence begins there, or nouns have capitals."""

    @property
    def shown(self) -> str:
        """As it was written."""
        return " ".join(self.words)


class Mentioned:
    """What a source mentions, made ready for many questions."""

    def __init__(self, text: str) -> None:
        self._tokens = [folded(word) for word in _LETTERS.findall(text)]
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, token in enumerate(self._tokens):
            self._places[token].append(place)
        self._text = text

    @cached_property
    def _initials(self) -> frozenset[str]:
        runs = (name.words for name in names(self._text, all_words=True))
        return frozenset("".join(word[0] for word in run if word[0].isupper()).lower() for run in runs)

    def has(self, name: Name) -> bool:
        """Whether all words of the name stand near each other; the first one need not, where a sentence begins."""
        parts = _parts(name.words)
        rest = _parts(name.words[1:]) if name.may_begin_with_any_word else []
        if self._has_all(parts) or (rest and self._has_all(rest)):
            return True
        return len(parts) == 1 and len(parts[0]) > 1 and parts[0] in self._initials

    def _has_all(self, parts: Sequence[str]) -> bool:
        """The rarest word decides where to look for the others."""
        places = [self._found(part) for part in parts]
        if not places or not all(places):
            return False
        rarest = min(places, key=len)
        reach = len(parts) + _WINDOW
        return any(self._near(parts, place, reach) for place in rarest[:1000])

    def _near(self, parts: Sequence[str], place: int, reach: int) -> bool:
        window = self._tokens[max(0, place - reach) : place + reach + 1]
        return all(any(_alike(part, token) for token in window) for part in parts)

    def _found(self, part: str) -> list[int]:
        """Where a word stands, or the form of it with another ending."""
        exact = self._places.get(part)
        if exact or len(part) < 4:
            return exact or []
        shorter = next((part[:-cut] for cut in (1, 2) if part[:-cut] in self._places), "")
        if shorter:
            return self._places[shorter]
        return self._longer.get(part, [])

    @cached_property
    def _longer(self) -> dict[str, list[int]]:
        longer: dict[str, list[int]] = {}
        for token, places in self._places.items():
            if len(token) > 4:
                longer.setdefault(token[:-1], places)
                longer.setdefault(token[:-2], places)
        return longer


def names(text: str, *, all_words: bool = False) -> Iterator[Name]:
    """The names of a text, in order.

    Args:
        text: any text.
        all_words: single words at the beginning of a sentence, too.
    """
    if not all_words:
        text = _LABEL.sub("\n", _HEADING.sub("\n", text))
    nouns = not all_words and nouns_have_capitals(text)
    for run, begins in _runs(text, frozenset() if nouns else _PARTICLES):
        name = _stripped(run)
        any_word = nouns or (begins and name[:1] == run[:1])
        if len(name) >= (2 if any_word and not all_words else 1):
            yield Name(tuple(name), any_word)


def has_capitals(text: str) -> bool:
    """Whether the text's script knows capital letters."""
    letters = [letter for letter in text[:20_000] if letter.isalpha()]
    cased = sum(1 for letter in letters if letter.lower() != letter.upper())
    return 2 * cased >= len(letters)


def nouns_have_capitals(text: str) -> bool:
    """Whether the text is written as German is."""
    words = text[:20_000].lower().split()
    return len(words) >= 5 and sum(word in _GERMAN for word in words) > len(words) / 8


@lru_cache(4096)
def folded(word: str) -> str:
    """A word without case, accents and the English genitive."""
    plain = "".join(each for each in unicodedata.normalize("NFD", word[:60]) if not unicodedata.combining(each))
    return plain.casefold().removesuffix("'s").removesuffix("’s")


def _runs(text: str, particles: frozenset[str]) -> Iterator[tuple[list[str], bool]]:
    """Runs of capital words, with particles inside, and whether each begins a sentence."""
    run: list[str] = []
    begins, at_start, end = True, True, 0
    for found in _WORD.finditer(text):
        word = found[0]
        is_mark = not word[0].isalpha()
        close = run and text[end : found.start()].strip(" .") == "" and found.start() - end <= 3
        capital = word[0].isupper()
        if not is_mark and close and (capital or word in particles):
            run.append(word)
        else:
            if word == "." and run and len(run[-1]) <= 2:
                continue  # an initial's full stop ends no name: `J. R. Smith`
            if run:
                yield run, begins
            run, begins = ([word], at_start) if capital and not is_mark else ([], False)
        at_start, end = is_mark, found.end()
    if run:
        yield run, begins


def _stripped(run: Sequence[str]) -> list[str]:
    """A run without the common words at its ends."""
    words = list(run)
    while words and (words[-1].lower() in _COMMON or words[-1] in _PARTICLES):
        words.pop()
    while words and words[0].lower() in _COMMON:
        words.pop(0)
    return words


def _parts(words: Sequence[str]) -> list[str]:
    """The words of a name that have to be found: initials and particles only where there is nothing else."""
    parts = [folded(part) for word in words for part in _LETTERS.findall(word)]
    return [part for part in parts if part not in _PARTICLES and len(part) > 1] or parts


def _alike(part: str, token: str) -> bool:
    """The same word, or one with another ending."""
    if part == token:
        return True
    near = min(len(part), len(token)) >= 3 and abs(len(part) - len(token)) <= 2
    return near and (part.startswith(token) or token.startswith(part))
