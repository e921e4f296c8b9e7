"""Who answers behind `demo/…`: rules instead of a model, the same answer to the same question every time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

from pytest_llmbench.demo.conduct import Conduct
from pytest_llmbench.demo.judging import DemoJudge
from pytest_llmbench.demo.prices import DEAR, PRICE
from pytest_llmbench.demo.readers import reply_of
from pytest_llmbench.demo.schema_instance import instance_of
from pytest_llmbench.demo.script import Answer, ChatBody
from pytest_llmbench.records import Price

_CAPITALS = {
    "argentina": "Buenos Aires",
    "australia": "Canberra",
    "austria": "Vienna",
    "brazil": "Brasilia",
    "canada": "Ottawa",
    "china": "Beijing",
    "egypt": "Cairo",
    "france": "Paris",
    "germany": "Berlin",
    "greece": "Athens",
    "india": "New Delhi",
    "italy": "Rome",
    "japan": "Tokyo",
    "kenya": "Nairobi",
    "mexico": "Mexico City",
    "norway": "Oslo",
    "poland": "Warsaw",
    "portugal": "Lisbon",
    "spain": "Madrid",
    "sweden": "Stockholm",
}
_GOOD = {
    "excellent",
    "friendly",
    "good",
    "great",
    "happy",
    "helpful",
    "love",
    "loved",
    "perfect",
    "thanks",
    "wonderful",
}
_BAD = {
    "angry",
    "awful",
    "bad",
    "broken",
    "fails",
    "hate",
    "horrible",
    "late",
    "poor",
    "rude",
    "slow",
    "terrible",
    "worst",
}
_SUM = re.compile(r"(-?\d+)\s*(plus|minus|times|[-+*×x])\s*(-?\d+)")
_UNKNOWN = "I do not know."


@dataclass(frozen=True, slots=True)
class Persona:
    """One who answers."""

    help: str
    answer: Callable[[ChatBody, Conduct], Answer]
    traits: Mapping[str, Any] = field(default_factory=dict)
    """Its own, which all that is told otherwise goes before."""
    price: Price = PRICE


def last_question(body: ChatBody) -> str:
    """The text of the last message; of several parts, their texts."""
    messages = body.get("messages") or [{}]
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else None
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict)).strip()
    return str(content)


def draw(*what: object) -> float:
    """A number from 0 to below 1 that follows from what it is drawn for."""
    digest = sha256(repr(what).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _fact(question: str) -> str:
    words = question.lower()
    if found := _SUM.search(words):
        return str(_calculated(int(found[1]), found[2], int(found[3])))
    if "capital" in words:
        return next((city for country, city in _CAPITALS.items() if country in words), _UNKNOWN)
    return _UNKNOWN


def _calculated(left: int, sign: str, right: int) -> int:
    if sign in {"+", "plus"}:
        return left + right
    return left - right if sign in {"-", "minus"} else left * right


def _known(body: ChatBody, conduct: Conduct) -> str:
    """A fact, or ignorance of it where the question's lot says so."""
    question = last_question(body)
    return _fact(question) if draw("accuracy", question) < conduct.accuracy else _UNKNOWN


def _echo(body: ChatBody, conduct: Conduct) -> Answer:
    return Answer("token " * conduct.tokens if conduct.tokens else f"You said: {last_question(body)}")


def _facts(body: ChatBody, conduct: Conduct) -> Answer:
    return Answer(_known(body, conduct))


def _sentiment(body: ChatBody, conduct: Conduct) -> Answer:
    question = last_question(body)
    words = re.findall(r"[a-z]+", question.lower())
    mood = sum(word in _GOOD for word in words) - sum(word in _BAD for word in words)
    right = draw("accuracy", question) < conduct.accuracy
    return Answer("neutral" if not right or not mood else "positive" if mood > 0 else "negative")


def _json(body: ChatBody, conduct: Conduct) -> Answer:
    fact = _known(body, conduct)
    schema = _schema(body)
    return Answer(json.dumps(instance_of(schema, fact) if schema else {"answer": fact}, ensure_ascii=False))


def _judge(who: str, body: ChatBody, conduct: Conduct) -> Answer:
    return Answer(DemoJudge(who, conduct.accuracy, draw).verdict(last_question(body), _schema(body)))


def _schema(body: ChatBody) -> Mapping[str, Any]:
    """The JSON schema that the answer has to fit; empty where there is none."""
    told = body.get("response_format") or {}
    return (told.get("json_schema") or {}).get("schema") or {}


def _tool(body: ChatBody, conduct: Conduct) -> Answer:
    tools = body.get("tools") or []
    if not tools or last_message_is_a_result(body):
        return _facts(body, conduct)
    function = tools[0].get("function", tools[0])
    schema = function.get("parameters") or function.get("input_schema") or {}
    arguments = json.dumps(instance_of(schema, last_question(body)))
    cut = len(arguments) // 2
    pieces = [arguments[:cut], arguments[cut:]]
    return Answer("", tool_name=function["name"], tool_arguments=pieces, finish_reason="tool_calls")


def last_message_is_a_result(body: ChatBody) -> bool:
    """Whether what came last is what a tool gave."""
    last = (body.get("messages") or [{}])[-1]
    parts = last.get("content")
    blocks = parts if isinstance(parts, list) else []
    return last.get("role") == "tool" or any(block.get("type") == "tool_result" for block in blocks)


def _reasoning(body: ChatBody, conduct: Conduct) -> Answer:
    thought = ["Let me ", "think ", "about ", "this. "]
    return Answer(_known(body, conduct), reasoning=thought)


def _long(body: ChatBody, conduct: Conduct) -> Answer:
    words = last_question(body).split() or ["word"]
    return Answer(pieces=[f"{words[number % len(words)]} " for number in range(conduct.tokens or 400)])


def _careful(body: ChatBody, _conduct: Conduct) -> Answer:
    return Answer(reply_of("careful", last_question(body)) or _UNKNOWN)


def _hasty(body: ChatBody, _conduct: Conduct) -> Answer:
    return Answer(reply_of("hasty", last_question(body)) or _UNKNOWN)


_JUDGES: Mapping[str, str] = {
    "judge": "and errs on one reply of twenty",
    "judge-twin": "and errs wherever `judge` errs",
    "judge-lenient": "and finds nine of ten good, whatever they are",
    "judge-long": "and takes long for good",
    "judge-first": "and prefers the first of two replies",
    "judge-silent": "and answers three requests of ten without a verdict",
}
PERSONAS: Mapping[str, Persona] = {
    "echo": Persona("repeats the last message; so does every model of a name that is not here", _echo),
    "facts": Persona("sums, differences and products of two numbers, and capitals; else `I do not know.`", _facts),
    "sentiment": Persona("`positive`, `negative` or `neutral`, by the words of the last message", _sentiment),
    "json": Persona('as `facts`, as JSON: `{"answer": …}`, or by the JSON schema of the request', _json),
    "tool": Persona("calls the first tool of the request; gets the text where an argument is text", _tool),
    "reasoning": Persona("as `facts`, after four tokens of reasoning", _reasoning),
    "long": Persona(
        "the words of the last message over and over, 400 or as many as the trait `tokens` tells",
        _long,
        {"itl_s": 0.005},
    ),
    "slow": Persona("as `facts`, after a second", _facts, {"latency_s": 1.0, "itl_s": 0.05}),
    "sloppy": Persona("as `facts`, and wrong on a fifth of the questions", _facts, {"accuracy": 0.8}),
    "careful": Persona(
        "what a good model would say to the shipped use cases; slow, and five times the price",
        _careful,
        {"latency_s": 0.35, "jitter_s": 0.25, "itl_s": 0.012},
        DEAR,
    ),
    "hasty": Persona(
        "what a lesser model would say to the shipped use cases",
        _hasty,
        {"latency_s": 0.08, "jitter_s": 0.08, "itl_s": 0.004},
    ),
    **{who: Persona(f"judges by a rubric, {fault}", partial(_judge, who)) for who, fault in _JUDGES.items()},
}
