"""Field-by-field comparison of a JSON reply with the expected answer: partial credit, and which fields differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.comparing import EXACT, PLAIN, Comparison, comparison
from pytest_llmbench.validators.json_reply import reply_json
from pytest_llmbench.validators.json_text import truth_defects, truth_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.reply_text import folded
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of, rated, unscored

_PLACE = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.|$)")
_SHOWN = 60
_MOST = 50
"""Fields that a score tells of one by one."""


class _Absent:
    """What stands where a field is missing."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Fields:
    """Compares the leaves of the expected answer with those of the reply."""

    comparisons: Mapping[str, Comparison]
    """Path, with `*` for a place in a list → how it is compared; the others exactly."""
    keyed: Mapping[str, str]
    """Path of a list → the field by which its items are told apart, whatever their order."""
    ignored: frozenset[str]
    extra: bool
    """Fields that were not expected are allowed; items of a list never are."""

    def score(self, material: Material) -> Score:
        """The share of fields that are right; it passes where all are."""
        if material.expected is None:
            return unscored(NOTHING_EXPECTED)
        try:
            given = reply_json(material.answer)
        except ValueError as error:
            return rated(0.0, False, f"the reply {error}")
        verdicts = _by_path(self._compared(given, truth_of(material.expected), ""))
        if not verdicts:
            return unscored("the expected answer has no field to compare")
        wrong = {path: told for path, told in verdicts.items() if told}
        value = 1 - len(wrong) / len(verdicts)
        reason = "; ".join(f"{path}: {told}" for path, told in list(wrong.items())[:3])
        return rated(
            value,
            not wrong,
            reason or f"all {len(verdicts)} fields are right",
            fields={path: not told for path, told in list(verdicts.items())[:_MOST]},
            differs=dict(list(wrong.items())[:_MOST]),
        )

    def defects(self, material: Material) -> list[str]:
        """No object to compare with, and values that their comparison cannot compare."""
        if found := truth_defects(material):
            return found
        truth = truth_of(material.expected)
        if not isinstance(truth, dict | list) or not truth:
            return [f"the expected answer {as_text(truth)[:_SHOWN]!r} has no fields"]
        return list(self._misfits(truth, ""))

    def paths_in(self, material: Material) -> set[str]:
        """The paths of all that an expected answer holds, with `*` for places in lists."""
        return set(map(pattern_of, _paths(truth_of(material.expected), "")))

    def unmatched(self, seen: Collection[str]) -> Iterator[tuple[str, str]]:
        """Paths that are named here and that no expected answer has, each with a sentence.

        A field that is ignored may be one that only replies have: it is told where it resembles another.

        Args:
            seen: the paths of all expected answers.
        """
        for path in [*self.comparisons, *self.keyed, *self.ignored] if seen else ():
            near = "" if path in seen else did_you_mean(path, seen)
            if path not in seen and (near or path not in self.ignored):
                yield path, f"no expected answer has the field {path!r}{near}"

    def _misfits(self, value: Any, path: str) -> Iterator[str]:
        """Values that their comparison cannot compare, and items of a list that its key does not tell apart."""
        pattern = pattern_of(path)
        compared = self.comparisons.get(pattern, EXACT)
        if value is not None and not compared.fits(value):
            yield f"{path}: the expected {_short(value)} is not {compared.kind}"
        if isinstance(value, list) and pattern in self.keyed:
            names = Counter(_name_of(item, self.keyed[pattern]) for item in value)
            yield from (f"{path}: {name!r} stands there {count} times" for name, count in names.items() if count > 1)
        for key, each in _children(value):
            yield from self._misfits(each, f"{path}.{key}".lstrip("."))

    def _compared(self, given: Any, wanted: Any, path: str) -> Iterator[tuple[str, str]]:
        """Path of each leaf, and what is wrong with it; empty where it is right."""
        pattern = pattern_of(path)
        if pattern in self.ignored:
            return
        if isinstance(wanted, list) and wanted and pattern in self.keyed:
            yield from self._by_key(given, wanted, path, self.keyed[pattern])
        elif pattern not in self.comparisons and isinstance(wanted, dict) and (wanted or not path):
            yield from self._objects(given, wanted, path)
        elif pattern not in self.comparisons and isinstance(wanted, list) and wanted:
            yield from self._lists(given, wanted, path)
        else:
            yield path or "all", self._leaf(given, wanted, pattern)

    def _leaf(self, given: Any, wanted: Any, pattern: str) -> str:
        if given is ABSENT:
            return "" if wanted is None else f"missing, expected {_short(wanted)}"
        if self.comparisons.get(pattern, EXACT).same(given, wanted):
            return ""
        return f"{_short(given)} is not {_short(wanted)}"

    def _objects(self, given: Any, wanted: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
        if not isinstance(given, dict) and given is not ABSENT:
            yield path or "all", f"{_short(given)} is no object"
        there = given if isinstance(given, dict) else {}
        for key, value in wanted.items():
            yield from self._compared(there.get(key, ABSENT), value, f"{path}.{key}".lstrip("."))
        for key in there.keys() - wanted.keys() if not self.extra else ():
            where = f"{path}.{key}".lstrip(".")
            if pattern_of(where) not in self.ignored:
                yield where, f"was not asked for: {_short(there[key])}"

    def _lists(self, given: Any, wanted: Sequence[Any], path: str) -> Iterator[tuple[str, str]]:
        if not isinstance(given, list) and given is not ABSENT:
            yield path or "all", f"{_short(given)} is no list"
        there = given if isinstance(given, list) else []
        for place, value in enumerate(wanted):
            item = there[place] if place < len(there) else ABSENT
            yield from self._compared(item, value, f"{path}.{place}".lstrip("."))
        for place in range(len(wanted), len(there)):
            yield f"{path}.{place}".lstrip("."), f"one item too many: {_short(there[place])}"

    def _by_key(self, given: Any, wanted: Sequence[Any], path: str, key: str) -> Iterator[tuple[str, str]]:
        there: dict[str, list[Any]] = {}
        for item in given if isinstance(given, list) else ():
            there.setdefault(_name_of(item, key), []).append(item)
        for place, value in enumerate(wanted):
            twins = there.get(_name_of(value, key))
            yield from self._compared(twins.pop(0) if twins else ABSENT, value, f"{path}.{place}".lstrip("."))
        for place, item in enumerate(chain.from_iterable(there.values()), len(wanted)):
            yield f"{path}.{place}".lstrip("."), f"one item too many: {_short(item)}"


def _by_path(verdicts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Path → what is wrong; where two fields have one path (a key with a dot in it), the wrong one counts."""
    found: dict[str, str] = {}
    for path, told in verdicts:
        found[path] = found.get(path) or told
    return found


def pattern_of(path: str) -> str:
    """A path with `*` for every place in a list."""
    return _PLACE.sub("*", path)


def _fields(argument: Any, where: Where) -> Scorer:
    keys = keys_of(argument, where, {"fields": dict, "extra": str})
    if keys.get("extra", "allow") not in {"allow", "refuse"}:
        raise where.at("extra").error("must be allow or refuse")
    comparisons: dict[str, Comparison] = {}
    keyed: dict[str, str] = {}
    ignored: set[str] = set()
    for path, how in keys.get("fields", {}).items():
        here = where.at("fields", path)
        if how == "ignore":
            ignored.add(path)
        elif isinstance(how, dict) and "by" in how:
            keyed[path] = _key_field(how, here)
        else:
            comparisons[path] = _comparison(how, here)
    return Fields(comparisons, keyed, frozenset(ignored), keys.get("extra", "allow") == "allow")


def _comparison(how: Any, where: Where) -> Comparison:
    if isinstance(how, str) and how not in PLAIN:
        known = (*PLAIN, "ignore")
        raise where.error(f"{how!r} is no comparison{did_you_mean(how, known)} (allowed: {', '.join(known)})")
    return comparison(how, where)


def _key_field(how: Any, where: Where) -> str:
    return str(keys_of(how, where, {"by": str})["by"])


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _paths(value: Any, path: str) -> Iterator[str]:
    """The path of each thing below a value."""
    for key, each in _children(value):
        here = f"{path}.{key}".lstrip(".")
        yield here
        yield from _paths(each, here)


def _name_of(item: Any, key: str) -> str:
    """What tells an item of a list from the others."""
    return folded(as_text(item.get(key) if isinstance(item, dict) else item))


def _short(value: Any) -> str:
    text = as_text(value) if isinstance(value, str) else as_text([value])[1:-1]
    return repr(text[:_SHOWN]) if isinstance(value, str) else text[:_SHOWN]


TABLE = (
    Validator(
        "json-fields",
        "the fields of the expected answer, one by one; its value is the share of right ones",
        _fields,
        {
            "fields": {
                "total": {"number": 0.01},
                "date": "date",
                "vendor": "text",
                "lines": {"by": "sku"},
                "lines.*.note": "ignore",
            },
            "extra": "refuse",
        },
        measure="value",
        settles=True,
    ),
)
