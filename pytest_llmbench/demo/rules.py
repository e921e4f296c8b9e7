"""From a request to its page where no script decides: the persona, its conduct, its fault, its price."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from pytest_llmbench.demo.conduct import Conduct, trait, traits_in_body, traits_in_name
from pytest_llmbench.demo.faults import FAULTS, Case
from pytest_llmbench.demo.forms import Form
from pytest_llmbench.demo.personas import PERSONAS, Persona, draw
from pytest_llmbench.demo.prices import cost_usd
from pytest_llmbench.demo.script import Answer, ChatBody, Failure
from pytest_llmbench.demo.steps import Page
from pytest_llmbench.errors import UsageError

_REMEMBERED = 100_000


class Rules:
    """Answers by rule.

    Args:
        traits: how it behaves where neither model name nor request tell otherwise; the fields of `Conduct`.

    Raises:
        UsageError: no such trait, or it cannot have that value.
    """

    def __init__(self, traits: Mapping[str, Any]) -> None:
        self._traits = {name: trait(name, value) for name, value in traits.items()}
        self._attempts: OrderedDict[bytes, int] = OrderedDict()

    def page(self, body: ChatBody, form: Form) -> Page:
        """What is played in answer; a request that asks for what there is not gets a 400."""
        try:
            who, named = traits_in_name(str(body.get("model", "")))
            asked = traits_in_body(body)
        except UsageError as error:
            return form.failure(Failure(400, str(error)))
        persona = PERSONAS.get(who.removeprefix("demo/"), PERSONAS["echo"])
        conduct = Conduct(**{**persona.traits, **self._traits, **named, **asked})
        page = form.answer(_priced(persona, body, conduct), body)
        if conduct.fault and self._goes_wrong(body, conduct):
            return FAULTS[conduct.fault].page(
                Case(
                    page=page,
                    form=form,
                    retry_after_s=conduct.retry_after_s,
                    delay_s=conduct.delay_s,
                    size_mb=conduct.size_mb,
                )
            )
        return page

    def _goes_wrong(self, body: ChatBody, conduct: Conduct) -> bool:
        asked = json.dumps([body.get("model"), body.get("messages")], sort_keys=True)
        question = sha256(asked.encode()).digest()
        attempt = self._attempts.pop(question, 0)
        self._attempts[question] = attempt + 1
        if len(self._attempts) > _REMEMBERED:
            self._attempts.popitem(last=False)
        if conduct.times and attempt >= conduct.times:
            return False
        return conduct.share == 1.0 or draw("share", asked, attempt) < conduct.share


def _priced(persona: Persona, body: ChatBody, conduct: Conduct) -> Answer:
    """What it answers, with times and price."""
    answer = persona.answer(body, conduct)
    latency_s = conduct.latency_s
    if conduct.jitter_s:
        latency_s += conduct.jitter_s * draw("jitter", body.get("messages"))
    prompt, completion, _ = answer.counts(body)
    cost = cost_usd(prompt, completion, answer.cached_tokens, answer.cache_write_tokens, persona.price)
    return replace(answer, ttft_s=latency_s, itl_s=conduct.itl_s, cost_usd=cost)
