"""Runs of use cases built by hand, for the tests of the reports: many samples, several models, every kind of ending."""

from __future__ import annotations

import dataclasses
import random

import report_runs

from pytest_llmbench.records import Cost, Evaluation, Outcome, Reply, Run, Score, TestResult, Timing, Trial, Usage

MODELS = ("anthropic/claude-haiku-4-5", "openrouter/meta-llama/llama-3.3-70b-instruct", "lab/mini", "smollm2-135m:Q4_1")
"""What lab/mini costs nobody told; the last one runs on this machine."""
_RIGHT = {MODELS[0]: 0.96, MODELS[1]: 0.9, MODELS[2]: 0.75, MODELS[3]: 0.35}
_PRICE_USD = {MODELS[0]: 0.0009, MODELS[1]: 0.00006, MODELS[3]: 0.0}
_FIRST_S = {MODELS[0]: 0.42, MODELS[1]: 0.3, MODELS[2]: 0.2, MODELS[3]: 0.06}
QUEUES = ("billing", "delivery", "returns", "technical")
SYSTEM = "Answer with JSON: the queue that a message belongs to, how urgent it is, and why."
PAGE = "example_suites/usecases/support-triage/USE-CASE.md"


def triage_run(samples: int = 40, models: tuple[str, ...] = MODELS, trials: int = 1) -> Run:
    """Each model asked each sample of a triage; some wrong, some without a score."""
    chance = random.Random(samples)
    made = [_asked(number, model, trials, chance) for number in range(samples) for model in models]
    base = report_runs.passed_run()
    return dataclasses.replace(
        base,
        exit_code=0,
        results=tuple(result for result, _ in made),
        measurements=(),
        replies=tuple(reply for _, replies in made for reply in replies),
        gates=(),
    )


def several_run() -> Run:
    """Three use cases: JSON answers, SQL that is executed, and summaries that are only measured."""
    triage = triage_run(24, trials=3)
    made = [_sql(number, model) for number in range(12) for model in MODELS[:3]]
    made += [_summary(number, model) for number in range(8) for model in MODELS[:2]]
    return dataclasses.replace(
        triage,
        results=(*triage.results, *(result for result, _ in made)),
        replies=(*triage.replies, *(reply for _, reply in made)),
    )


def result(found: Evaluation, model: str, outcome: str, replies: tuple[str, ...] = (), **more: object) -> TestResult:
    """The result of a test of one sample."""
    nodeid = f"{found.page}::[{model}-{found.sample}]"
    return TestResult(
        nodeid,
        nodeid,
        str(outcome),
        model=model,
        sample=found.sample,
        duration_s=0.01,
        reply_ids=replies,
        evaluation=found,
        **more,  # type: ignore[arg-type]
    )


def reply(id_: str, model: str, said: str, chance: random.Random, asked: str = "A message.") -> Reply:
    """A reply with times and costs that suit its model."""
    first = _FIRST_S[model] * chance.lognormvariate(0, 0.3)
    tokens = 20 + len(said) // 5
    price = _PRICE_USD.get(model)
    cost = Cost() if price is None else Cost("0", "free") if not price else Cost(f"{price * tokens / 40:.8f}", "priced")
    took = first + tokens * first / 10
    return Reply(
        text=said,
        model=model,
        finish_reason="stop",
        usage=Usage(prompt_tokens=140, completion_tokens=tokens),
        timing=Timing(ttft_s=first, e2e_s=took, last_token_s=took),
        cost=cost,
        streamed=True,
        id=id_,
        request={"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]},
    )


def _asked(number: int, model: str, trials: int, chance: random.Random) -> tuple[TestResult, list[Reply]]:
    queue = QUEUES[number % 4]
    found = Evaluation(
        use_case="support-triage",
        sample=f"message-{number:04d}",
        title="Support triage",
        page=PAGE,
        tags=("support", "german" if number % 3 == 0 else "english"),
        slices={"difficulty": ("easy", "medium", "hard")[number % 3]},
        prompt_version="3fa91c0d22",
        reducer="majority",
        expected={"queue": queue, "urgent": number % 5 == 0},
    )
    if chance.random() > 0.985:
        return result(found, model, Outcome.INFRA_ERROR, message="429 after 5 attempts", category="rate_limited"), []
    asked = f"Message {number}: my parcel came late, and one of the two items is broken. Who looks after it?"
    verdicts = [chance.random() < _RIGHT[model] for _ in range(trials)]
    said = [_triage(queue if good else QUEUES[(number + 1) % 4], number) for good in verdicts]
    replies = [reply(f"{model}/{number}/{at}", model, each, chance, asked) for at, each in enumerate(said)]
    passed = sum(verdicts) * 2 > trials
    why = "queue: 'x' is not the expected one; urgent: right"
    found = dataclasses.replace(
        found,
        value=sum(verdicts) / trials,
        passed=passed,
        trials=tuple(Trial(float(good), good, (each.id,)) for good, each in zip(verdicts, replies, strict=True)),
        deciding=verdicts.index(passed),
        scores=(
            Score("json-schema", value=1.0, passed=True, reason="valid", executed=False),
            Score(
                "fields",
                value=1.0 if passed else 0.5,
                passed=passed,
                reason="all fields match" if passed else why,
                details={} if passed else {"fields": {"queue": why}},
                parts=(Score("queue", value=float(passed), passed=passed), Score("urgent", value=1.0, passed=True)),
            ),
        ),
    )
    message = "" if passed else f"fields: {why}\nthe reply: {replies[0].text!r}"
    kind = Outcome.RIGHT if passed else Outcome.WRONG
    return result(found, model, kind, tuple(each.id for each in replies), message=message), replies


def _triage(queue: str, number: int) -> str:
    urgent = str(number % 5 == 0).lower()
    return f'{{"queue": "{queue}", "urgent": {urgent}, "reason": "The customer writes about parcel {number}."}}'


def _sql(number: int, model: str) -> tuple[TestResult, Reply]:
    chance = random.Random(f"{number}{model}")
    passed, looks_right = chance.random() < _RIGHT[model], chance.random() < 0.9
    said = f"SELECT name FROM customers WHERE city = 'Oslo' AND orders > {number}"
    answer = reply(f"sql/{model}/{number}", model, said, chance, f"Who in Oslo ordered more than {number} times?")
    disagrees = passed is not looks_right
    found = Evaluation(
        use_case="sql-from-text",
        sample=f"question {number}",
        title="SQL from text",
        page="example_suites/usecases/sql-from-text/USE-CASE.md",
        value=float(passed),
        passed=passed,
        scores=(
            Score("sql", value=float(passed), passed=passed, reason="5 rows, as expected", executed=True),
            Score("looks right", value=float(looks_right), passed=looks_right, reason="It filters.", judged=True),
        ),
        trials=(Trial(float(passed), passed, (answer.id,)),),
        expected=f"SELECT name FROM customers WHERE orders > {number} AND city = 'Oslo' ORDER BY name",
        executed=True,
        disagreements=("looks right",) if disagrees else (),
        notes=("tokens were estimated from characters",) if number == 3 else (),
    )
    return result(found, model, Outcome.RIGHT if passed else Outcome.WRONG, (answer.id,), message="sql: 4 rows"), answer


def _summary(number: int, model: str) -> tuple[TestResult, Reply]:
    chance = random.Random(f"{number}{model}summary")
    answer = reply(f"sum/{model}/{number}", model, "The meeting moved the launch to May.", chance)
    value = min(1.0, max(0.0, chance.gauss(0.6, 0.15)))
    found = Evaluation(
        use_case="summaries",
        sample=f"minutes-{number}",
        page="summaries/USE-CASE.md",
        prompt="short" if model == MODELS[0] else "base",
        prompt_mode="optimized",
        value=value,
        scores=(Score("rouge-l", value=value, details={"rouge-l": value}),),
        trials=(Trial(value, None, (answer.id,)),),
        expected="The launch was moved to May because the tests were late.",
    )
    return result(found, model, Outcome.RIGHT, (answer.id,)), answer
