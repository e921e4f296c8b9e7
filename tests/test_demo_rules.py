"""Answers, traits and faults of the demo provider where no script decides."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from asking import PATIENT

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.demo.conduct import Conduct, trait, traits_in_name
from pytest_llmbench.demo.faults import FAULTS
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.demo.prices import PRICE, cost_usd
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.providers import prices
from pytest_llmbench.providers.costs import cost_of
from pytest_llmbench.records import Limits, Reply, Usage

IMPATIENT = http.Deadlines(connect_s=20, ttft_s=0.5, idle_s=0.5, total_s=30)
FORMS = pytest.mark.parametrize("form", ["openai", "anthropic"])


def ask(
    provider: DemoProvider,
    text: str = "hello you",
    model: str = "echo",
    *,
    form: str = "openai",
    deadlines: http.Deadlines = PATIENT,
    **fields: Any,
) -> Reply:
    """One question to a model of a running provider."""
    endpoint = Endpoint(base_url=provider.url, model_id=model, name=f"demo/{model}", format=form)
    request = ChatRequest(endpoint.name, ({"role": "user", "content": text},), **{"max_tokens": 100, **fields})
    return http.run(FORMATS[form](endpoint, request, deadlines))


def get(url: str) -> Any:
    return json.loads(http.run(http.fetch(http.Request("GET", url), PATIENT)).body)


@pytest.mark.parametrize(
    ("model", "question", "answer"),
    [
        ("echo", "hi", "You said: hi"),
        ("nobody-knows-this", "hi", "You said: hi"),
        ("echo+tokens=3", "hi", "token token token "),
        ("facts", "What is 12 + 30?", "42"),
        ("facts", "7 times 6", "42"),
        ("facts", "50 minus 8", "42"),
        ("facts", "What is the capital of Japan?", "Tokyo"),
        ("facts", "Why?", "I do not know."),
        ("facts+accuracy=0", "What is 12 + 30?", "I do not know."),
        ("sentiment", "A wonderful, friendly place.", "positive"),
        ("sentiment", "Terrible and slow.", "negative"),
        ("sentiment", "It is a place.", "neutral"),
        ("json", "What is 1 + 1?", '{"answer": "2"}'),
        ("reasoning", "What is 1 + 1?", "2"),
        ("long+tokens=3+itl_s=0", "a b", "a b a "),
    ],
)
@FORMS
def test_who_answers_answers_by_rule(model: str, question: str, answer: str, form: str) -> None:
    """The same in both forms, and the same every time."""
    with DemoProvider() as provider:
        assert [ask(provider, question, model, form=form).text for _ in range(2)] == [answer, answer]


def test_json_obeys_the_schema_of_the_request() -> None:
    """Every property is there, in its type."""
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "integer"},
            "queue": {"enum": ["billing", "other"]},
            "sure": {"type": "boolean"},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    with DemoProvider() as provider:
        reply = ask(provider, "What is 1 + 1?", "json", extra={"response_format": wanted})
    assert reply.json == {"answer": 2, "queue": "billing", "sure": True, "notes": ["2"]}


def test_sloppy_is_wrong_on_a_share_of_the_questions_and_always_the_same() -> None:
    """Drawn by the question's text: no two runs differ."""
    questions = [f"What is {number} + 1?" for number in range(60)]
    with DemoProvider() as provider:
        first = [ask(provider, question, "sloppy", stream=False).text for question in questions]
        again = [ask(provider, question, "sloppy", stream=False).text for question in questions]
    assert first == again
    assert 4 <= sum(text == "I do not know." for text in first) <= 20


def test_calls_are_billed_at_the_price_that_the_catalogue_tells() -> None:
    """`usage.cost`, and what tokens × price give, agree."""
    with DemoProvider() as provider:
        reply = ask(provider, "one two three")
        (entry,) = [each for each in get(provider.url + "/api/v1/models")["data"] if each["id"] == "demo/echo"]
    assert Decimal(reply.usage.billed_usd) == Decimal("0.000023")
    assert (entry["pricing"]["prompt"], entry["pricing"]["completion"]) == (PRICE.input, PRICE.output)
    assert entry["context_length"] > 0


def test_cached_and_written_tokens_cost_what_they_cost_elsewhere() -> None:
    """The provider's own sum is that of `cost_of`."""
    usage = Usage(1000, 100, cached_tokens=300, cache_write_tokens=200)
    assert Decimal(str(cost_usd(1000, 100, 300, 200))) == cost_of(usage, PRICE).amount


@pytest.mark.parametrize("who", PERSONAS)
def test_what_is_billed_is_what_the_price_table_says(who: str) -> None:
    """A budget reserves by the table before a call, and is charged what the provider bills after it."""
    told, billed = prices.facts("demo", who).price, PERSONAS[who].price
    for kind in ("input", "output", "cached", "cache_write"):
        assert Decimal(getattr(told, kind)) == Decimal(getattr(billed, kind))


def test_traits_are_told_by_flags_name_and_body_the_later_before_the_earlier() -> None:
    """Each of them alone, and the one that goes first."""
    with DemoProvider(traits={"tokens": 1}) as provider:
        assert ask(provider).text == "token "
        assert ask(provider, model="echo+tokens=2").text == "token token "
        assert ask(provider, model="echo+tokens=2", extra={"demo": {"tokens": 3}}).text == "token token token "


def test_latency_and_jitter_are_kept() -> None:
    """The first token no earlier than told; jitter by the request's text."""
    with DemoProvider(traits={"latency_s": 0.1, "jitter_s": 0.1}) as provider:
        for text in "ab":
            ask(provider, text)
        first, second = (call.ttft_s for call in provider.chats())
    assert min(first, second) >= 0.099
    assert first != second


EXPECTED = {
    "rate-limit": Category.RATE_LIMITED,
    "quota": Category.QUOTA_EXHAUSTED,
    "server-error": Category.SERVER,
    "overloaded": Category.OVERLOADED,
    "bad-gateway": Category.SERVER,
    "auth": Category.AUTH,
    "context-length": Category.CONTEXT_LENGTH,
    "slow-headers": Category.TIMEOUT_TTFT,
    "stall": Category.TIMEOUT_IDLE,
    "truncated": Category.STREAM_TRUNCATED,
    "cut": Category.STREAM_TRUNCATED,
    "reset": Category.NETWORK_RESET,
    "malformed": Category.STREAM_MALFORMED,
    "error-event": Category.STREAM_ERROR_EVENT,
    "huge": Category.STREAM_TOO_LARGE,
    "expired": Category.SERVER,
    "empty": Category.STREAM_TRUNCATED,
}


def test_every_fault_has_a_scenario() -> None:
    """A new one cannot be forgotten."""
    assert EXPECTED.keys() == FAULTS.keys()


@FORMS
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen_as_what_it_is(fault: str, form: str) -> None:
    """By our client, in both forms."""
    deadlines = IMPATIENT if EXPECTED[fault].startswith("timeout") else PATIENT
    with DemoProvider() as provider, pytest.raises(WireError) as caught:
        ask(provider, "a b c d", f"echo+{fault}", form=form, deadlines=deadlines)
    assert caught.value.category is EXPECTED[fault]


@FORMS
@pytest.mark.parametrize("fault", ["truncated", "malformed", "error-event", "empty", "reset"])
def test_faults_of_replies_in_one_piece_are_seen_too(fault: str, form: str) -> None:
    """Half a JSON object, an error with status 200, nothing at all."""
    with DemoProvider() as provider, pytest.raises(WireError):
        ask(provider, "a b c d", f"echo+{fault}", form=form, stream=False)


def test_a_fault_that_is_bounded_ends() -> None:
    """`times` counts the attempts at one question, each question by itself."""
    with DemoProvider(traits={"fault": "server-error", "times": 2}) as provider:
        for text in ("one", "two"):
            for _ in range(2):
                with pytest.raises(WireError, match="500"):
                    ask(provider, text)
            assert ask(provider, text).text == f"You said: {text}"


def test_a_share_of_faults_is_drawn_by_question_and_attempt() -> None:
    """Some go wrong, some do not, and two providers agree on which."""

    def outcomes() -> list[bool]:
        with DemoProvider(traits={"fault": "overloaded", "share": 0.5}) as provider:
            return [_fails(provider, str(number)) for number in range(20)]

    first = outcomes()
    assert first == outcomes()
    assert 2 < sum(first) < 18


def _fails(provider: DemoProvider, text: str) -> bool:
    try:
        ask(provider, text, stream=False)
    except WireError:
        return True
    return False


@FORMS
def test_over_the_limit_there_is_429_with_the_headers_of_the_provider(form: str) -> None:
    """Requests a minute, and when to come again."""
    with DemoProvider(limits=Limits(requests_per_minute=2)) as provider:
        for _ in range(2):
            ask(provider, form=form)
        with pytest.raises(WireError) as caught:
            ask(provider, form=form)
    headers = caught.value.headers
    assert (caught.value.category, int(headers["retry-after"])) == (Category.RATE_LIMITED, 30)
    names = {
        "openai": ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        "anthropic": ("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"),
    }
    assert [headers[name] for name in names[form]] == ["2", "0"]


def test_tokens_a_minute_count_prompt_and_max_tokens() -> None:
    """As providers reckon before they answer."""
    with DemoProvider(limits=Limits(tokens_per_minute=200)) as provider:
        ask(provider, "one two", max_tokens=150)
        with pytest.raises(WireError, match="429"):
            ask(provider, "one two", max_tokens=150)
        assert ask(provider, "one two", max_tokens=10).text == "You said: one two"


def test_requests_at_once_are_limited() -> None:
    """The third of three is refused while two are under way."""
    with DemoProvider(traits={"latency_s": 0.3}, limits=Limits(concurrency=2)) as provider:
        endpoint = Endpoint(base_url=provider.url, model_id="echo", name="demo/echo")
        request = ChatRequest("demo/echo", ({"role": "user", "content": "hi"},), stream=False)

        async def all_three() -> list[object]:
            asked = (FORMATS["openai"](endpoint, request, PATIENT) for _ in range(3))
            return list(await asyncio.gather(*asked, return_exceptions=True))

        found = http.run(all_three())
        assert provider.counts.most_in_flight == 3
    assert sum(isinstance(each, WireError) for each in found) == 1


def test_a_trait_that_there_is_not_is_refused_with_near_names() -> None:
    """By the provider that is made, and by the one that is asked."""
    with pytest.raises(UsageError, match="did you mean 'latency_s'"):
        DemoProvider(traits={"latency": 1})
    with DemoProvider() as provider, pytest.raises(WireError, match="did you mean 'stall'") as caught:
        ask(provider, model="echo+stal")
    assert caught.value.status == 400
    with DemoProvider() as provider, pytest.raises(WireError, match="an object of traits"):
        ask(provider, extra={"demo": "stall"})


@pytest.mark.parametrize(("name", "value"), [("share", 2), ("latency_s", -1), ("times", "many"), ("accuracy", "x")])
def test_a_trait_with_a_value_that_it_cannot_have_is_refused(name: str, value: object) -> None:
    """Name and value stand in the message."""
    with pytest.raises(UsageError, match=name):
        trait(name, value)


def test_names_are_taken_apart_at_their_plus_signs() -> None:
    """Who answers, a bare fault, traits with values."""
    assert traits_in_name("facts+stall+times=2+latency_s=0.5") == (
        "facts",
        {"fault": "stall", "times": 2, "latency_s": 0.5},
    )


def test_every_persona_is_listed_and_has_a_help() -> None:
    """What `/v1/models` tells by default."""
    with DemoProvider() as provider:
        assert [model["id"] for model in get(provider.url + "/v1/models")["data"]] == list(PERSONAS)
    assert all(persona.help for persona in PERSONAS.values())
    assert all(Conduct(**persona.traits) for persona in PERSONAS.values())


@pytest.mark.parametrize("told", ["9", -1, 1.5, True])
@FORMS
def test_a_length_that_is_none_is_refused(form: str, told: object) -> None:
    """As a provider would, and not by hanging up."""
    with (
        DemoProvider() as provider,
        pytest.raises(WireError, match="max_tokens must be a whole number from 1 on") as raised,
    ):
        ask(provider, form=form, max_tokens=told)
    assert raised.value.category == Category.INVALID_REQUEST
