"""The tools that a model called: the right ones, with the right arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.errors import ReplyFormatError
from pytest_llmbench.records import ToolCall
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.json_text import truth_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of, rated, unscored
from pytest_llmbench.validators.structure import same_json

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """Compares the calls of a reply with those that are wanted."""

    calls: tuple[Mapping[str, Any], ...] | None
    """Each with a `name` and, where they matter, `arguments`; None: the expected answer."""
    in_order: bool
    extra: bool
    """Further calls are allowed."""

    def score(self, material: Material) -> Score:
        """The share of the wanted calls that were made; it passes where that is all, and no other was made."""
        if material.reply is None:
            return unscored("there is a text only, no tool calls")
        wanted = self._wanted(material)
        if wanted is None:
            return unscored(NOTHING_EXPECTED)
        given = list(material.reply.tool_calls)
        missing = [call for call, made in zip(wanted, self._made(wanted, given), strict=True) if not made]
        made = len(wanted) - len(missing)
        too_many = 0 if self.extra else len(given) - made
        told = [f"not called: {_shown(call)}" for call in missing[:3]]
        told += [f"called: {', '.join(_of(call) for call in given[:5]) or 'nothing'}"] if missing or too_many else []
        value = made / (len(wanted) + max(0, too_many - len(missing))) if wanted else float(not too_many)
        return rated(value, not missing and not too_many, "; ".join(told) or "the expected calls")

    def defects(self, material: Material) -> list[str]:
        """An expected answer that is no list of calls."""
        if self.calls is not None:
            return []
        if material.expected is None:
            return [NOTHING_EXPECTED]
        if self._wanted(material) is None:
            return ["the expected answer is no list of calls ({name: ..., arguments: {...}})"]
        return []

    def _wanted(self, material: Material) -> Sequence[Mapping[str, Any]] | None:
        calls = self.calls if self.calls is not None else truth_of(material.expected)
        calls = [calls] if isinstance(calls, dict) else calls
        if not isinstance(calls, list | tuple) or not all(_is_call(call) for call in calls):
            return None
        return calls

    def _made(self, wanted: Sequence[Mapping[str, Any]], given: Sequence[ToolCall]) -> list[bool]:
        """Which of the wanted calls were made; each given one counts for one of them."""
        left, made, turns = list(given), [False] * len(wanted), range(len(wanted))
        for turn in turns if self.in_order else sorted(turns, key=lambda at: -_demands(wanted[at])):
            place = next((at for at, each in enumerate(left) if _fits(each, wanted[turn])), None)
            if place is not None:
                made[turn] = True
                left = left[place + 1 :] if self.in_order else [*left[:place], *left[place + 1 :]]
        return made


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("name"), str) and call.keys() <= {"name", "arguments"}


def _fits(given: ToolCall, wanted: Mapping[str, Any]) -> bool:
    """The same tool, and each argument that is wanted with its value; further arguments may be there."""
    if given.name != wanted["name"]:
        return False
    arguments = wanted.get("arguments")
    if arguments is None:
        return True
    try:
        sent = given.json
    except ReplyFormatError:
        return False
    if not isinstance(arguments, dict) or not isinstance(sent, dict):
        return same_json(sent, arguments)
    return all(key in sent and same_json(sent[key], value) for key, value in arguments.items())


def _demands(call: Mapping[str, Any]) -> int:
    """How much a wanted call says: those that say the most choose first among the given ones."""
    arguments = call.get("arguments")
    return 0 if arguments is None else 1 + len(arguments) if isinstance(arguments, dict) else 1


def _shown(call: Mapping[str, Any]) -> str:
    arguments = call.get("arguments")
    return f"{call['name']}({as_text(arguments)[:_SHOWN]})"


def _of(call: ToolCall) -> str:
    return f"{call.name[:_SHOWN]}({call.arguments[:_SHOWN]})"


def _tool_calls(argument: Any, where: Where) -> Scorer:
    alone = isinstance(argument, list)
    keys: dict[str, Any] = {"calls": argument} if alone else keys_of(argument, where, _KEYS)
    calls = keys.get("calls")
    for place, call in enumerate(calls or ()):
        if not _is_call(call):
            raise (
                (where if alone else where.at("calls"))
                .at(place)
                .error("must be a call: {name: get_weather, arguments: {city: Oslo}}")
            )
    return ToolCalls(None if calls is None else tuple(calls), keys.get("in_order", False), keys.get("extra", False))


_KEYS = {"calls": list, "in_order": bool, "extra": bool}

TABLE = (
    Validator(
        "tool-calls",
        "the model called these tools with these arguments; an empty list: none",
        _tool_calls,
        [{"name": "get_weather", "arguments": {"city": "Oslo"}}],
        measure="value",
        settles=True,
    ),
)
