"""A run with gates against a baseline, built by hand: what comments, summaries and annotations are made of."""

from __future__ import annotations

import dataclasses

import report_use_cases

from pytest_llmbench.records import Evidence, GateResult, Run

MODEL = report_use_cases.MODELS[0]
CASE = "support-triage"


def gate(verdict: str = "pass", **more: object) -> GateResult:
    """One gate of the pass rate against a baseline."""
    return GateResult(
        **{  # type: ignore[arg-type]
            "gate": "pass_rate at most 3 points below the baseline",
            "verdict": verdict,
            "reason": "a reason",
            "metric": "pass_rate",
            "model": MODEL,
            "profile": CASE,
            "value": 0.9,
            "n": 40,
            "evidence": Evidence(
                kind="baseline", before=0.95, change=-0.05, low=-0.11, high=0.01, margin=0.03, baseline="3fa91c0d22aa"
            ),
            **more,
        }
    )


def gated_run() -> Run:
    """A gate of each verdict, and samples that are wrong."""
    speed = gate(
        "fail",
        gate="ttft_s p50 at most 10 % above the baseline",
        metric="ttft_s",
        value=0.46,
        evidence=Evidence(
            kind="baseline",
            before=0.38,
            change=0.2105,
            low=0.14,
            high=0.29,
            margin=0.1,
            baseline="3fa91c0d22aa",
            sentence="21 % slower than the baseline (95 %: 14 to 29; n = 20 pairs; Holm p < 0.001; large effect)",
        ),
    )
    kept = gate(gate="pass_rate >= 80 %", evidence=Evidence(low=0.87, high=0.99), value=0.95, reason="95 %, n = 40")
    undecided = gate("inconclusive", reason="−5 points; 2.1 more points or 180 samples would show it")
    advised = gate("fail (advisory)", gate="score >= 0.9", metric="score", evidence=Evidence(), value=0.85)
    run = report_use_cases.triage_run()
    return dataclasses.replace(run, exit_code=10, gates=(kept, advised, undecided, speed))
