"""Which of two replies is better: asked in both orders, since judges favour a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmbench.judges import asking
from pytest_llmbench.judges.evidence import Shown
from pytest_llmbench.judges.fence import fenced, nonce_of
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.reading import UnusableError, exactly, object_of
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.verdict import UNUSABLE, own_words

Order = Literal["ab", "ba"]
Place = Literal["first", "second", "tie"]
Winner = Literal["a", "b", "tie"]

PLACES: tuple[Place, ...] = ("first", "second", "tie")

SYSTEM = f"""\
You are given two replies of language models to the same question. Say which is better by the criteria that you are \
given, and by nothing else.

{asking.DATA_RULE}

Write the reason first, in one or two sentences, then decide. The order of the replies, their length, style and \
confidence do not count. Where neither is better, say tie.

Answer with one JSON object and nothing else."""

_FAULT = " (a fault; the reply without it is better)"
_FORM = '{"reason": <text>, "better": <"first", "second" or "tie">}'


@dataclass(frozen=True, slots=True)
class Preference:
    """What a judge says in one order."""

    better: Place | None
    """None: its answer cannot be used."""
    reason: str
    """In its words; why it cannot be used where it cannot."""

    @property
    def complaint(self) -> str | None:
        """What was wrong with the answer, for the retry; None: it could be used."""
        return self.reason.removeprefix(UNUSABLE) if self.better is None else None


@dataclass(frozen=True, slots=True)
class Settled:
    """What both orders say together."""

    winner: Winner | None
    """None: one order has no usable answer, and one alone decides nothing."""
    flipped: bool = False
    """Whether the judge named the same place in both orders, and so both replies."""


def messages(rubric: Rubric, a: Matter, b: Matter, order: Order) -> asking.Messages:
    """System and user message; question, source and expected answer are those of `a`."""
    first, second = (a, b) if order == "ab" else (b, a)
    shared = asking.pieces(a)[:-1]
    texts = [*shared, ("FIRST REPLY", first.reply), ("SECOND REPLY", second.reply)]
    criteria = [f"{one.id}{_FAULT if one.kind == 'violations' else ''}: {one.text}" for one in rubric.criteria]
    nonce = nonce_of([rubric.hash, *(text for _, text in texts), rubric.text, *criteria])
    user = [
        rubric.text,
        "Criteria:",
        *criteria,
        f"Form of your answer:\n{_FORM}",
        f"Material. The code of this request is {nonce}.",
        *(fenced(name, text, nonce) for name, text in texts),
        f"The material of {nonce} has ended. Compare the two replies by the criteria above. {asking.ONLY_JSON}",
    ]
    return asking.conversation(SYSTEM, user)


def schema(*, bounded: bool = False) -> dict[str, Any]:
    """The JSON Schema of an answer; `bounded` as in `asking.schema`."""
    reason = asking.reason_schema(bounded=bounded)
    return asking.closed({"reason": reason, "better": {"type": "string", "enum": list(PLACES)}})


def request_fields(*, can_schema: bool, bounded: bool = False, thought_tokens: int = 0) -> dict[str, Any]:
    """What else belongs to the request; as in `asking.request_fields`."""
    tokens = 100 + asking.REASON_CHARACTERS // 2 + thought_tokens
    return asking.fields_of(schema(bounded=bounded), tokens, can_schema=can_schema)


def preference_of(text: str, *, shown: tuple[Matter, Matter]) -> Preference:
    """What a judge's answer says; anything but exactly the JSON asked for says nothing.

    Args:
        text: the answer, whole.
        shown: what it was shown.
    """
    try:
        answer = exactly(object_of(text, shown), ["reason", "better"], "the answer")
        material = Shown.of(text for one in shown for _, text in asking.pieces(one))
        reason = own_words(answer, "reason", "the answer", material)
        return Preference(_place(answer["better"]), reason[: 2 * asking.REASON_CHARACTERS])
    except UnusableError as error:
        return Preference(None, f"{UNUSABLE}{error}")


def settled(ab: Preference, ba: Preference) -> Settled:
    """What both orders say: one reply where they agree, else a tie.

    A tie in one order and a winner in the other is a tie and no flip: the judge wavers, and does not follow the place.

    Args:
        ab: with `a` as the first reply.
        ba: with `b` as the first reply.
    """
    if ab.better is None or ba.better is None:
        return Settled(None)
    if ab.better == ba.better:
        return Settled("tie", flipped=ab.better != "tie")
    if "tie" in (ab.better, ba.better):
        return Settled("tie")
    return Settled("a" if ab.better == "first" else "b")


def _place(answer: Any) -> Place:
    for place in PLACES:
        if answer == place:
            return place
    raise UnusableError(f"'better' is not one of {', '.join(PLACES)}")
