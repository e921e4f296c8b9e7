"""A run over thousands of samples of several API models, built by hand, for the tests of the reports."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal

import report_runs

from pytest_llmbench.records import Cost, FailedAttempt, Outcome, Reply, Run, TestResult, Timing, Usage
from pytest_llmbench.store import Store

MODELS = ("openrouter/meta-llama/llama-3.3-70b-instruct", "anthropic/claude-haiku-4-5", "lab/mini")
"""The last one has no price: what it cost is unknown."""
SUITE = "suites/support/test_triage.py"
QUEUES = ("billing", "delivery", "returns", "technical")
_PRICES = {
    MODELS[0]: (Decimal("0.00000012"), Decimal("0.0000003")),
    MODELS[1]: (Decimal("0.000001"), Decimal("0.000005")),
}
_RIGHT = {MODELS[0]: 0.91, MODELS[1]: 0.96, MODELS[2]: 0.72}


def samples_run(count: int = 5_000) -> Run:
    """`count` samples in all, divided among three models, with wrong ones, infra errors, over budget and pending."""
    chance = random.Random(count)
    made = [_sample(number, MODELS[number % len(MODELS)], chance) for number in range(count)]
    base = report_runs.passed_run()
    judge = Reply(
        text="right",
        model=MODELS[1],
        usage=Usage(prompt_tokens=400, completion_tokens=2),
        timing=Timing(ttft_s=0.3, e2e_s=0.32),
        cost=Cost("0.00041", "billed"),
        role="judge",
        id="judged",
    )
    return dataclasses.replace(
        base,
        exit_code=12,
        finished_at="2026-11-21T04:16:44+00:00",
        results=tuple(result for result, _ in made),
        measurements=(),
        replies=(*(reply for _, reply in made if reply is not None), judge),
        gates=(),
        failed_attempts=_failed_attempts(made[0][0].key),
        settings={**base.settings, "max_cost": "1.00", "max_concurrency": 100},
    )


def stored(store: Store, run: Run) -> None:
    """Write the run as a session does."""
    store.ensure_run(run)
    keys = {reply: result.key for result in run.results for reply in result.reply_ids}
    ids = {
        reply.id: store.keep_reply(run.id, keys.get(reply.id, "other"), 0, reply.request, reply)
        for reply in run.replies
    }
    for result in run.results:
        known = tuple(ids[reply].result().id for reply in result.reply_ids)
        last = store.order_result(run.id, dataclasses.replace(result, reply_ids=known))
    last.result()
    for attempt in run.failed_attempts:
        store.save_failed_attempt(run.id, attempt.test_key, attempt)
    store.finish_run(run.id, run.exit_code or 0)


def _sample(number: int, model: str, chance: random.Random) -> tuple[TestResult, Reply | None]:
    outcome, category, message = _ending(number, model, chance)
    nodeid = f"{SUITE}::test_ticket_reaches_the_right_queue[{model}-ticket-{number:05d}]"
    replied = outcome in {Outcome.RIGHT, Outcome.WRONG}
    result = TestResult(
        nodeid,
        nodeid,
        str(outcome),
        message=message,
        category=category,
        model=model,
        sample=f"ticket-{number:05d}",
        duration_s=0.0021,
        reply_ids=(f"reply-{number}",) if replied else (),
    )
    return result, _reply(number, model, chance) if replied else None


def _ending(number: int, model: str, chance: random.Random) -> tuple[Outcome, str, str]:
    drawn = chance.random()
    if drawn > 0.995:
        return Outcome.INFRA_ERROR, "rate_limited", "429 Too Many Requests after 5 attempts"
    if drawn > 0.99:
        return Outcome.OVER_BUDGET, "", "not asked: its worst case $0.0031 does not fit into the $0.0012 left"
    if drawn > 0.988:
        return Outcome.PENDING, "", "the reply is still with the provider's batch API"
    if chance.random() > _RIGHT[model]:
        wanted, got = QUEUES[number % 4], QUEUES[(number + 1) % 4]
        return Outcome.WRONG, "", f"AssertionError: assert '{got}' == '{wanted}'"
    return Outcome.RIGHT, "", ""


def _reply(number: int, model: str, chance: random.Random) -> Reply:
    prompt, answer = 180 + number % 40, 24 + number % 9
    first = chance.lognormvariate(-1.2, 0.4)
    return Reply(
        text=f'{{"queue": "{QUEUES[number % 4]}", "reason": "The customer writes about ticket {number}."}}',
        model=model,
        served_model=model.partition("/")[2],
        finish_reason="stop",
        usage=Usage(prompt_tokens=prompt, completion_tokens=answer, cached_tokens=128),
        timing=Timing(0.0, 0.001, first * 0.9, first, first, first + answer / 80, first + answer / 80),
        cost=_cost(model, prompt, answer),
        attempts=2 if number % 97 == 0 else 1,
        request_hash=f"{number:064x}",
        streamed=True,
        id=f"reply-{number}",
        request={
            "model": model,
            "messages": [
                {"role": "system", "content": "Answer with JSON: the queue that a ticket belongs to, and why."},
                {
                    "role": "user",
                    "content": f"Ticket {number}: my parcel came late, and one of the two items is broken.",
                },
            ],
            "max_tokens": 200,
            "temperature": 0.0,
        },
    )


def _cost(model: str, prompt: int, answer: int) -> Cost:
    if model not in _PRICES:
        return Cost()
    input_, output = _PRICES[model]
    return Cost(format(input_ * prompt + output * answer, "f"), "priced")


def _failed_attempts(test_key: str) -> tuple[FailedAttempt, ...]:
    limited = FailedAttempt(
        MODELS[0], "a" * 64, 1, "rate_limited", "429", "", "2026-11-21T04:15:20+00:00", cost=Cost("0", "refused")
    )
    broken = dataclasses.replace(limited, category="stream.truncated", message="the stream broke off", cost=Cost())
    billed = dataclasses.replace(broken, usage=Usage(180, 11), cost=Cost("0.0000249", "billed"), partial_text='{"qu')
    return tuple(
        dataclasses.replace(attempt, test_key=test_key, number=number)
        for attempt in (limited, broken, billed)
        for number in range(1, 41)
    )
