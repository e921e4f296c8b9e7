"""Whether a number in a text is below zero, as far as that is certain.

A minus directly before a number is a sign where it stands apart from what comes before: `3-5`, `3 -5`, `INV-5`,
`2026-03-05` and `0151-234` have none. Where words say which way a number goes (`fell by 5 %`, `5 degrees below zero`),
it may stand for either.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property

_LOOKED_BACK = 24
_CURRENCY = "[€$£¥]"
_MINUS = re.compile(
    rf"(?:^|[\s(\[{{:=|\"'~<>,;/*])(?P<minus>-(?:{_CURRENCY}[ ]?)?|(?:minus|negative|moins|menos|meno)[ ])$",
    re.IGNORECASE,
)
_AFTER_A_NUMBER = re.compile(rf"\d[ ]?(?:[^\W\d_]{{1,3}}|(?:[%°]|{_CURRENCY})[CF]?)?\s*$", re.IGNORECASE)
_MAYBE_BEFORE = re.compile(rf"(?:[-±][ ]?(?:[.(]|{_CURRENCY})?|\bm(?:inus|oins|enos|eno) ?)[ ]?$", re.IGNORECASE)
_IN_BRACKETS = re.compile(rf"\({_CURRENCY}?[ ]?$")
_MAYBE_AFTER = re.compile(r"-(?![\w-])")
_FAR = 100
"""Characters between a number and a word that says which way it goes."""
_SENTENCE = re.compile(r"[.!?;](?=\s)|\n")
_WORDS = """
below under minus negative fell fall falls falling fallen down loss losses lost lose loses losing lower less off cut
cuts short behind ago before early earlier fewer sank sink sunk slid depth deep owe owes owed owing debt debts frost
unter fiel fielen gefallen sank gesunken sinkt verlor weniger niedriger abzug schuld schulden nimmt
moins sous perte pertes perdu perd remise
menos bajo cae cayó pérdida pérdidas
meno sotto cala calo calato perdita perdite sceso scesa
abaixo queda caiu perda perdas
onder daalde daling gedaald verlies minder lager korting tekort
"""
_BEGINNINGS = """
drop decreas declin reduc deficit shrink shr[au]nk discount credit refund debit withdr deduct saving rebate overdr slump
contract subtract
rückgang verlust abnahm abgenommen reduz defizit rabatt gutschrift
baiss chut recul diminu rédu déficit négati
bajad disminu descen descuento negativ
ridu scont desconto défice negatie
"""
"""Of words that say which way a number goes, in the languages whose months are known."""
_WAY = re.compile(rf"\b(?:(?:{'|'.join(_WORDS.split())})\b|(?:{'|'.join(_BEGINNINGS.split())}))", re.IGNORECASE)


def sign(text: str, start: int, end: int) -> int:
    """Of the number that stands there: -1 or 1, and 0 where nobody can tell."""
    before = text[max(0, start - _LOOKED_BACK) : start]
    found = _MINUS.search(before)
    if found is not None:
        return 0 if _AFTER_A_NUMBER.search(before[: found.start("minus")]) else -1
    in_brackets = _IN_BRACKETS.search(before) is not None and text[end : end + 1] == ")"
    is_open = in_brackets or _MAYBE_BEFORE.search(before) or _MAYBE_AFTER.match(text, end)
    return 0 if is_open else 1


class Ways:
    """The words of a text that say which way a number goes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def is_told(self, start: int) -> bool:
        """Whether such a word stands in the sentence of the number at a place, and not far from it."""
        after = bisect_left(self._places, start)
        return any(self._is_near(place, start) for place in self._places[max(0, after - 1) : after + 1])

    def _is_near(self, place: int, start: int) -> bool:
        low, high = sorted((place, start))
        return high - low <= _FAR and _SENTENCE.search(self._text, low, high) is None

    @cached_property
    def _places(self) -> list[int]:
        return [found.start() for found in _WAY.finditer(self._text)]
