"""Records for the tests of the store: every field set to something that is not its default."""

from __future__ import annotations

from pytest_llmbench.records import (
    FailedAttempt,
    GateResult,
    Gpu,
    Host,
    Measurement,
    ModelFile,
    Repetition,
    Reply,
    Run,
    ServerInfo,
    Table,
    TestResult,
    Timing,
    Usage,
)
from pytest_llmbench.secret import Secret

HOST = Host(
    cpu_model="A CPU",
    architecture="x86_64",
    os="Linux 6.1",
    python="3.11.7",
    physical_cores=1,
    logical_cores=2,
    memory_bytes=8 << 30,
    swap_bytes=0,
    container_cpus=1.5,
    container_memory_bytes=4 << 30,
    gpus=(Gpu("A card", 24 << 30, "550.1"),),
    gpu_note="",
    fingerprint="cafe",
)
TIMING = Timing(
    connect_s=0.001,
    headers_s=0.002,
    ttft_s=0.25,
    ttft_answer_s=0.5,
    e2e_s=1.5,
    last_token_s=1.4,
    gaps_s=(0.1, 0.2),
    server={"prompt_ms": 12.5, "predicted_n": 3.0},
)
USAGE = Usage(prompt_tokens=7, completion_tokens=3, cached_tokens=0, reasoning_tokens=None, estimated=True)
MODEL = ModelFile("tiny:Q4_1", "models/tiny.gguf", "ab" * 32, 1234, "path:tiny.gguf")


def run(run_id: str = "run-1", started_at: str = "2025-01-01T00:00:00+00:00") -> Run:
    return Run(
        id=run_id,
        started_at=started_at,
        finished_at=None,
        exit_code=None,
        host=HOST,
        environment={"git_revision": "abc", "git_dirty": True, "versions": {"pytest": "9.2.0"}},
        settings={"rounds": 4, "report": ["html"]},
    )


def reply(text: str = "Hello.", request_hash: str = "h1") -> Reply:
    return Reply(
        text=text,
        model="tiny:Q4_1",
        served_model="tiny",
        reasoning="because",
        finish_reason="stop",
        usage=USAGE,
        timing=TIMING,
        request_hash=request_hash,
        streamed=True,
        events=('{"a":1}', "[DONE]"),
    )


def failed_attempt(number: int = 1) -> FailedAttempt:
    return FailedAttempt(
        model="tiny:Q4_1",
        request_hash="h1",
        number=number,
        category="local.server_crash",
        message="the server died (SIGSEGV)",
        partial_text="Hel",
        at="2025-01-01T00:00:01+00:00",
        test_key="t1",
    )


def repetition(index: int) -> Repetition:
    return Repetition(
        index=index,
        round=index // 2,
        prompt=f"prompt {index}",
        metrics={"ttft_s": 0.25 + index},
        reply_id="17",
        timing=TIMING,
        usage=USAGE,
        labels={"context_tokens": 4096, "depth": 0.5, "item": "maths-1", "hard": True},
        at_s=1.5 * index,
        dirty="others used 40 % of the machine",
        superseded=False,
    )


def measurement(measurement_id: str = "m1", key: str = "k1", repetitions: int = 0) -> Measurement:
    server = ServerInfo("embedded", "http://127.0.0.1:1", Secret("secret"), pid=3, build="b1", command=("x", "--y"))
    return Measurement(
        id=measurement_id,
        key=key,
        model="tiny:Q4_1",
        profile="interactive",
        settings={"rounds": 4, "nested": {"a": [1, None]}},
        host_fingerprint="cafe",
        repetitions=tuple(repetition(index) for index in range(repetitions)),
        scalars={"load_s": 0.3},
        units={"ttft_s": "s", "load_s": "s"},
        server=server.public(),
        rating="instant",
        sentence="The first token is there in 0.25 s.",
        notes=("a note",),
        tables=(Table("sizes", "By size", ("context", "speed"), ("tokens", "tok/s"), ((4096, 120.5), (8192, None))),),
        unavailable={"temperature_c": "no sensor"},
        client_error={"ttft_error_s": 0.0002},
    )


def result(key: str = "t1", outcome: str = "right") -> TestResult:
    return TestResult(
        nodeid=f"test_a.py::{key}",
        key=key,
        outcome=outcome,
        phase="setup",
        message="a message",
        category="store",
        model="tiny:Q4_1",
        duration_s=1.25,
        measurement_ids=("m1",),
        reply_ids=("1", "2"),
    )


def gate(verdict: str = "pass") -> GateResult:
    return GateResult("decode_tps p50 >= 5 tok/s", verdict, "9 >= 5", "decode_tps", "tiny", "interactive", 9.0, 5.0, 4)
