"""Validators as a use case declares them: `- exact`, `- contains: refund`, `- {rouge-l: {at_least: 0.4}, weight: 2}`.

What all of them share is here: weight, name, threshold, `not-`, the field they look at, and that nothing a model says
makes them raise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import MissingExtraError
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.foreign_names import or_rather, written_here
from pytest_llmbench.validators.json_reply import NotThereError, at_path, reply_json
from pytest_llmbench.validators.material import Material, as_text
from pytest_llmbench.validators.registry import VALIDATORS
from pytest_llmbench.validators.scorer import Locate, Scorer, Validator, Where, is_kind, unscored, verdict

COMMON = ("weight", "name", "field")
"""Keys that stand beside a validator's own."""
NOT = "not-"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a measure has to reach; one of both is None."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None

    def applied(self, found: Score) -> Score:
        """The score with its verdict."""
        measured = found.value if self.measure == "value" else found.details.get(self.measure)
        if found.state != "scored" or measured is None:
            return found
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        passed = low <= measured <= high or any(math.isclose(measured, end, rel_tol=1e-9) for end in (low, high))
        limit = f"at most {high:g}" if self.at_least is None else f"at least {low:g}"
        told = f"{found.reason}; " if found.reason else ""
        return dataclasses.replace(found, passed=passed, reason=f"{told}{self.measure} {measured:.4g}, asked: {limit}")


@dataclass(frozen=True, slots=True)
class Declared:
    """A validator with all that was declared about it."""

    name: str
    """Unique among those that `declared_all` made together."""
    spec: Any
    """As it was declared, JSON."""
    kind: Validator
    scorer: Scorer
    weight: float = 1
    inverted: bool = False
    field: str = ""
    threshold: Threshold | None = None

    @property
    def settles(self) -> bool:
        """Whether it says that a reply passes or fails; else it only measures."""
        return not self.kind.measure or self.kind.settles or self.threshold is not None

    def score(self, material: Material) -> Score:
        """The verdict on a reply; never raises."""
        try:
            found = self._judged(material)
        except Exception as error:  # noqa: BLE001  whatever is wrong with a validator must not look like a wrong reply
            found = Score("", state="error", reason=f"the validator failed: {type(error).__name__}: {error}")
        return dataclasses.replace(found, name=self.name, weight=self.weight)

    def defects(self, material: Material) -> list[str]:
        """What is wrong with the expected answer itself; never raises."""
        try:
            return self.scorer.defects(self.narrowed_truth(material))
        except NotThereError as error:
            return [f"the expected answer {error}"]
        except Exception as error:  # noqa: BLE001  as above
            return [f"the validator cannot read the expected answer: {type(error).__name__}: {error}"]

    def _judged(self, material: Material) -> Score:
        if self.field:
            truth = self.narrowed_truth(material)
            try:
                given = at_path(reply_json(material.answer), self.field)
            except (ValueError, NotThereError) as error:
                return verdict(passed=False, reason=f"the reply {error}")
            material = dataclasses.replace(truth, reply_text=as_text(given))
        found = _checked(self.scorer.score(material))
        if self.threshold:
            found = self.threshold.applied(found)
        return _opposite(found) if self.inverted else found

    def narrowed_truth(self, material: Material) -> Material:
        """What stands in the field of an expected answer that has fields; one that has none is the field's own.

        Raises:
            NotThereError: it has no such field.
            ValueError: it looks like JSON and is none.
        """
        expected = material.expected
        if self.field and isinstance(expected, str) and expected.lstrip()[:1] in {"{", "["}:
            expected = reply_json(expected)
        if not self.field or not isinstance(expected, dict | list):
            return material
        return dataclasses.replace(material, expected=at_path(expected, self.field))


def declared(spec: Any, locate: Locate, folder: Path | None = None) -> Declared:
    """The scorer that an item of `validators:` describes.

    Args:
        spec: the name of a validator, or a mapping of its name to its argument, with `weight`, `name` and `field`
            beside it.
        locate: makes an error of a key path below the item and a sentence.
        folder: where the files stand that it names.

    Raises:
        ConfigError: it describes none, with the place.
        MissingExtraError: what it needs is not installed.
    """
    return declared_at(spec, Where(locate, (), folder))


def declared_all(specs: Sequence[Any], locate: Locate, folder: Path | None = None) -> tuple[Declared, ...]:
    """The scorers of a list, each with a name of its own; see `declared`."""
    return declared_list(specs, Where(locate, (), folder))


def declared_list(specs: Any, where: Where) -> tuple[Declared, ...]:
    """As `declared_all`, at a place."""
    if not isinstance(specs, list) or not specs:
        raise where.error("must be a list of validators (- exact)")
    found: list[Declared] = []
    taken: set[str] = set()
    for place, spec in enumerate(specs):
        one = declared_at(spec, where.at(place))
        if one.name in taken and isinstance(spec, Mapping) and "name" in spec:
            raise where.at(place, "name").error(f"another validator is called {one.name!r}, too")
        found.append(dataclasses.replace(one, name=_free(one.name, taken)))
        taken.add(found[-1].name)
    return tuple(found)


def declared_at(spec: Any, where: Where) -> Declared:
    """As `declared`, at a place."""
    key, argument, common = _taken_apart(spec, where)
    here = where.at(key) if isinstance(spec, Mapping) else where
    inverted = key.startswith(NOT)
    kind = _kind(key.removeprefix(NOT), here)
    if inverted and kind.opposite:
        kind = VALIDATORS[kind.opposite]
    threshold, argument = _threshold(kind, argument, here)
    if inverted and kind.measure and threshold is None and not kind.settles:
        raise here.error(f"{key!r} needs a limit to be inverted: at_least or at_most")
    return Declared(
        name=common.get("name", key),
        spec=spec,
        kind=kind,
        scorer=_parsed(kind, argument, here),
        weight=common.get("weight", 1),
        inverted=inverted,
        field=common.get("field", ""),
        threshold=threshold,
    )


def _taken_apart(spec: Any, where: Where) -> tuple[str, Any, Mapping[str, Any]]:
    """Validator, argument, and what stands beside it."""
    if isinstance(spec, str):
        return spec, None, {}
    if not isinstance(spec, Mapping):
        raise where.error("must be a validator's name, or a mapping of it to its argument (contains: refund)")
    named = [key for key in spec if key not in COMMON]
    if len(named) != 1:
        found = f"there are {', '.join(map(repr, named))}" if named else "there is none"
        raise where.error(
            f"names one validator: {found}", hint=written_here(spec) or f"beside it may stand {', '.join(COMMON)}"
        )
    common = {key: spec[key] for key in COMMON if key in spec}
    _check_common(common, where)
    return named[0], spec[named[0]], common


def _check_common(common: Mapping[str, Any], where: Where) -> None:
    weight = common.get("weight", 1)
    if not is_kind(weight, float) or not 0 <= weight < 1e6:
        raise where.at("weight").error("must be a number, 0 or more")
    for key in ("name", "field"):
        text = common.get(key, "a")
        if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > 100:
            raise where.at(key).error("must be one line of 1 to 100 printable characters; quote a number")


def _kind(name: str, where: Where) -> Validator:
    if name not in VALIDATORS:
        known = sorted(VALIDATORS)
        raise where.error(
            f"there is no validator {name!r}{or_rather(name, known)}",
            hint=f"validators: {', '.join(known)}; one of your own is registered in a conftest.py of the project",
        )
    return VALIDATORS[name]


def _parsed(kind: Validator, argument: Any, where: Where) -> Scorer:
    try:
        return kind.parse(argument, where)
    except MissingExtraError as error:
        raise MissingExtraError(where.error(f"{kind.name}: {error.message}").message, hint=error.hint) from error


def _threshold(kind: Validator, argument: Any, where: Where) -> tuple[Threshold | None, Any]:
    """The limit that stands in a measuring validator's argument, and the argument without it."""
    if not kind.measure or not isinstance(argument, dict):
        return None, argument
    limits = {key: argument[key] for key in ("at_least", "at_most") if key in argument}
    for key, limit in limits.items():
        if not is_kind(limit, float) or not math.isfinite(limit):
            raise where.at(key).error("must be a number")
    if len(limits) == 2:
        raise where.at("at_most").error("at_least and at_most stand here together; one of them is enough")
    wrong = "at_least" if kind.lower_is_better else "at_most"
    if wrong in limits:
        better, right = ("lower", "at_most") if kind.lower_is_better else ("higher", "at_least")
        raise where.at(wrong).error(f"{kind.name} is better where it is {better}: {right}")
    rest = {key: value for key, value in argument.items() if key not in limits}
    return Threshold(kind.measure, **limits) if limits else None, rest or None


def _checked(found: Score) -> Score:
    value = found.value
    if found.state == "scored" and (value is None or not 0 <= value <= 1):
        return Score("", state="error", reason=f"the validator gave the value {value!r}, which is not from 0 to 1")
    return found if found.state == "scored" else dataclasses.replace(found, value=None, passed=None)


def _opposite(found: Score) -> Score:
    if found.state != "scored" or found.passed is None:
        return found if found.state != "scored" else unscored("nothing here passes or fails")
    return dataclasses.replace(
        found, passed=not found.passed, value=1 - (found.value or 0.0), reason=f"inverted: {found.reason}"
    )


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
