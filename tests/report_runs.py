"""Runs built by hand, with the numbers of a small model on a small machine, for the tests of the reports."""

from __future__ import annotations

import dataclasses
import random

from pytest_llmbench.metrics import METRICS, call_metrics
from pytest_llmbench.records import (
    FailedAttempt,
    GateResult,
    Host,
    Measurement,
    Outcome,
    Repetition,
    Reply,
    Run,
    TestResult,
    Timing,
    Usage,
)

RUN_ID = "20261121-041500-7f3a9c"

HOST = Host(
    cpu_model="AMD EPYC 7B13",
    architecture="x86_64",
    os="Linux 6.1.0 (Debian GNU/Linux 12)",
    python="CPython 3.11.2",
    physical_cores=2,
    logical_cores=4,
    memory_bytes=8_340_000_000,
    swap_bytes=0,
    container_cpus=2.0,
    gpu_note="NVML not present",
    fingerprint="b1946ac92492d234",
)


def a_measurement(
    model: str, *, ttft_s: float, decode_tps: float, n: int = 20, load_s: float | None = 0.41
) -> Measurement:
    """A measurement of `n` requests that scatter around the given values."""
    chance = random.Random(model)
    return Measurement(
        id=f"m-{model}",
        key="k" * 64,
        model=model,
        profile="interactive",
        settings={"rounds": 4, "output_tokens": 64, "warmup": 1},
        host_fingerprint=HOST.fingerprint,
        repetitions=tuple(
            _repetition(model, i, ttft_s * chance.lognormvariate(0, 0.15), decode_tps * chance.gauss(1, 0.04))
            for i in range(n)
        ),
        scalars={} if load_s is None else {"load_s": load_s, "peak_rss_bytes": 242_000_000 + int(2e9 / decode_tps)},
        units={name: metric.unit for name, metric in METRICS.items()},
        server={"engine": "embedded", "build": "xllamacpp 2026.10", "pid": 4711},
        rating="excellent",
        sentence=f"excellent: an answer starts after {ttft_s:.2f} s, {ttft_s * 1.3:.2f} s at worst 1 time in 20 "
        f"(n = {n}), then runs at {decode_tps:.0f} tokens/s, {decode_tps / 5.3:.0f}× faster than one reads",
    )


def _repetition(model: str, index: int, ttft_s: float, decode_tps: float) -> Repetition:
    gaps = tuple(1 / decode_tps for _ in range(63))
    server = {"prompt_n": 40.0, "prompt_ms": ttft_s * 970, "predicted_n": 64.0}
    timing = Timing(
        ttft_s=ttft_s, e2e_s=ttft_s + sum(gaps), last_token_s=ttft_s + sum(gaps), gaps_s=gaps, server=server
    )
    usage = Usage(prompt_tokens=40, completion_tokens=64)
    return Repetition(
        index=index,
        round=index // 5,
        prompt=f"[{index:08x}] Explain in a few sentences why the sky is blue.",
        metrics=call_metrics(timing, usage),
        reply_id=f"{model}/{index}",
        timing=timing,
        usage=usage,
    )


def _replies(measurement: Measurement) -> list[Reply]:
    return [
        Reply(
            text="The sky is blue because air scatters short wavelengths of sunlight more than long ones.",
            model=measurement.model,
            served_model=measurement.model,
            finish_reason="length",
            usage=repetition.usage,
            timing=repetition.timing,
            id=repetition.reply_id,
            streamed=True,
        )
        for repetition in measurement.repetitions
    ]


CAPITAL = Reply(
    text="The capital of France is Paris.",
    model="smollm2-135m:Q4_1",
    served_model="SmolLM2-135M-Instruct.Q4_1.gguf",
    finish_reason="stop",
    usage=Usage(prompt_tokens=31, completion_tokens=8),
    timing=Timing(ttft_s=0.043, e2e_s=0.101),
    id="capital",
    request={"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0.0},
)


def passed_run() -> Run:
    """What the quickstart leaves: one model, three tests, one gate, all well."""
    measured = a_measurement("smollm2-135m:Q4_1", ttft_s=0.048, decode_tps=143)
    suite = "example_suites/quickstart/test_quickstart.py"
    return Run(
        id=RUN_ID,
        started_at="2026-11-21T04:15:00+00:00",
        finished_at="2026-11-21T04:15:31+00:00",
        exit_code=0,
        host=HOST,
        environment={
            "git_revision": "45756ff0c1d2e3f4",
            "git_dirty": True,
            "versions": {"python": "3.11.2", "pytest-llmbench": "0.1.0", "pytest": "9.2.0"},
            "command": ["llmbench", "run", "example_suites/quickstart"],
        },
        settings={"rounds": 4, "output_tokens": 64, "report": ["html", "json", "csv"], "resume": "", "offline": False},
        results=(
            _result(f"{suite}::test_first_token_feels_instant", measurement_ids=(measured.id,)),
            _result(f"{suite}::test_it_writes_faster_than_one_reads", measurement_ids=(measured.id,)),
            _result(f"{suite}::test_it_knows_the_capital_of_france", reply_ids=("capital",)),
        ),
        measurements=(measured,),
        replies=(CAPITAL, *_replies(measured)),
        gates=(
            GateResult(
                gate="decode_tps p50 >= 5 tok/s",
                verdict="pass",
                reason="143.1 tok/s, n = 20",
                metric="decode_tps",
                model=measured.model,
                profile="interactive",
                value=143.1,
                limit=5.0,
                n=20,
            ),
        ),
    )


def _result(nodeid: str, outcome: str = Outcome.RIGHT, **more: object) -> TestResult:
    return TestResult(nodeid, nodeid, str(outcome), model="smollm2-135m:Q4_1", duration_s=1.21, **more)  # type: ignore[arg-type]


def mixed_run() -> Run:
    """Three models, every outcome, every verdict of a gate, and something that was not measured."""
    base = passed_run()
    slow = a_measurement("qwen2.5-coder-1.5b-instruct:Q8_0 (requantized from Q4_K_M)", ttft_s=0.9, decode_tps=7.4)
    slow = dataclasses.replace(
        slow,
        rating="poor",
        sentence="poor: an answer starts after 0.90 s, then runs at 7 tokens/s",
        notes=("10 repetitions were measured before an interruption",),
    )
    remote = a_measurement("lab/llama-3.2:3b", ttft_s=0.21, decode_tps=61, n=8, load_s=None)
    remote = dataclasses.replace(
        remote,
        server={"engine": "external"},
        rating="good",
        sentence="good: an answer starts after 0.21 s, then runs at 61 tokens/s",
        repetitions=tuple(
            dataclasses.replace(r, metrics={k: v for k, v in r.metrics.items() if k != "prompt_tps"})
            for r in remote.repetitions
        ),
    )
    suite = "suites/chat/test_chat.py"
    return dataclasses.replace(
        base,
        exit_code=10,
        results=(
            *base.results,
            _result(
                f"{suite}::test_answers_in_german",
                Outcome.WRONG,
                message="assert 'Paris' in 'Berlin, of course.'\n  hint",
            ),
            _result(
                f"{suite}::test_long_story", Outcome.INFRA_ERROR, category="timeout.ttft", message="no token in 120 s"
            ),
            _result(f"{suite}::test_tools", Outcome.INFRA_ERROR, category="local.server_crash", message="exit code -9"),
            _result(f"{suite}::test_json", Outcome.TEST_ERROR, message="NameError: name 'x' is not defined"),
            _result(f"{suite}::test_on_gpu", Outcome.SKIPPED, message="no GPU here"),
        ),
        measurements=(*base.measurements, slow, remote),
        replies=(*base.replies, *_replies(slow)),
        failed_attempts=(
            FailedAttempt(
                model=base.measurements[0].model,
                request_hash="f" * 64,
                number=1,
                category="local.server_crash",
                message="the server died (SIGSEGV)",
                partial_text="The capital of",
                at="2026-11-21T04:15:11+00:00",
                test_key=f"{suite}::test_tools",
            ),
        ),
        gates=(
            *base.gates,
            GateResult(
                gate="decode_tps p50 >= 10 tok/s",
                verdict="fail",
                reason="7.412 tok/s, n = 20",
                metric="decode_tps",
                model=slow.model,
                profile="interactive",
                value=7.412,
                limit=10.0,
                n=20,
            ),
            GateResult(
                gate="prompt_tps p50 >= 100 tok/s",
                verdict="inconclusive",
                reason="prompt_tps was not measured",
                metric="prompt_tps",
                model=remote.model,
                profile="interactive",
                limit=100.0,
            ),
        ),
    )


def empty_run() -> Run:
    """A run that was killed before anything finished, on a machine that tells nothing."""
    return Run("r0", "2026-11-21T04:15:00+00:00", None, None, Host("", "", "", ""), environment={}, settings={})
