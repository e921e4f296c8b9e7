"""Runs to be blessed, compared and held against baselines: use cases and measurements whose numbers are set."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import report_runs

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Cost, Evaluation, Host, Measurement, Outcome, Repetition, Reply, Run, TestResult
from pytest_llmbench.store import Store

HOST = report_runs.HOST
OTHER_HOST = dataclasses.replace(HOST, cpu_model="Ampere Altra", architecture="aarch64", fingerprint="other")
SUBJECT = {"sha256": "ab" * 32, "engine_build": "b1", "context": 4096, "threads": 1}
WHEN = "2026-11-21T04:15:00+00:00"


def run(
    *results: TestResult,
    id_: str = "run-1",
    measurements: Sequence[Measurement] = (),
    replies: Sequence[Reply] = (),
    host: Host = HOST,
    branch: str | None = "main",
    exit_code: int | None = 0,
    dirty: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """A run that ended well on a branch."""
    measured = [
        TestResult(f"t::{each.id}", f"t::{each.id}", "right", model=each.model, measurement_ids=(each.id,))
        for each in measurements
    ]
    return Run(
        id=id_,
        started_at=WHEN,
        finished_at=None if exit_code is None else WHEN,
        exit_code=exit_code,
        host=host,
        environment={"git_revision": "c0ffee" * 6, "git_dirty": dirty, "branch": branch, "base_branch": None},
        settings=dict(settings or {}),
        results=(*results, *measured),
        measurements=tuple(measurements),
        replies=tuple(replies),
    )


def samples(
    n: int = 100,
    wrong: Collection[int] = (),
    *,
    model: str = "lab/m",
    use_case: str = "shout",
    broken: Collection[int] = (),
    content: Callable[[int], str] = str,
    value: Callable[[int], float | None] | None = None,
    prompt_version: str = "v1",
) -> list[TestResult]:
    """Results of n samples; some wrong, some infra errors."""
    results = []
    for number in range(n):
        outcome = Outcome.INFRA_ERROR if number in broken else Outcome.WRONG if number in wrong else Outcome.RIGHT
        passed = None if outcome is Outcome.INFRA_ERROR else outcome is Outcome.RIGHT
        found = Evaluation(
            use_case=use_case,
            sample=f"s{number:03}",
            page=f"{use_case}/USE-CASE.md",
            content=content(number),
            prompt_version=prompt_version,
            value=(None if passed is None else float(passed)) if value is None else value(number),
            passed=passed if value is None else None,
        )
        key = f"{found.page}::[{model}-{found.sample}]"
        ids = (f"{model}/{number}",)
        results.append(
            TestResult(key, key, str(outcome), model=model, sample=found.sample, reply_ids=ids, evaluation=found)
        )
    return results


def priced(results: Sequence[TestResult], cost: Callable[[int], str]) -> list[Reply]:
    """A reply a result, at a price in US dollars."""
    return [
        Reply("said", result.model, cost=Cost(cost(number), "priced"), id=result.reply_ids[0])
        for number, result in enumerate(results)
    ]


def measurement(
    rounds: Sequence[Mapping[str, Sequence[float]]],
    *,
    id_: str = "m1",
    model: str = "tiny:Q4_1",
    profile: str = "interactive",
    subject: Mapping[str, Any] | None = None,
    load: Mapping[str, Any] | None = None,
    **scalars: float,
) -> Measurement:
    """A measurement of these values: of each round, metric → values."""
    repetitions = [
        Repetition(0, number, "p", {metric: values[place] for metric, values in round_.items()})
        for number, round_ in enumerate(rounds)
        for place in range(len(next(iter(round_.values()))))
    ]
    return Measurement(
        id=id_,
        key=id_,
        model=model,
        profile=profile,
        settings={"rounds": len(rounds), **(load or {}), "subject": dict(subject or SUBJECT)},
        host_fingerprint=HOST.fingerprint,
        repetitions=tuple(dataclasses.replace(each, index=index) for index, each in enumerate(repetitions)),
        scalars=scalars,
        units={name: metric.unit for name, metric in METRICS.items()},
    )


def noisy(level: float, rounds: int = 8, metric: str = "ttft_s", spread: float = 0.02, seed: int = 0) -> list[Any]:
    """Rounds of five values that scatter around a level."""
    chance = random.Random(seed)
    return [{metric: [level * chance.lognormvariate(0, spread) for _ in range(5)]} for _ in range(rounds)]


def stored(folder: Path, *runs: Run) -> None:
    """Keep runs where the project's results are."""
    with contextlib.closing(Store.open(folder / ".llmbench" / "results.db")) as store:
        for each in runs:
            store.ensure_run(each)
            ids = {
                reply.id: store.save_reply(each.id, "key", number, {}, reply).id
                for number, reply in enumerate(each.replies)
            }
            for measured in each.measurements:
                store.start_measurement(each.id, measured)
                for repetition in measured.repetitions:
                    store.save_repetition(measured.id, repetition)
                store.finish_measurement(measured)
            for result in each.results:
                replies = tuple(ids.get(reply, reply) for reply in result.reply_ids)
                store.save_result(each.id, dataclasses.replace(result, reply_ids=replies))
            if each.exit_code is not None:
                store.finish_run(each.id, each.exit_code)
