"""A run of all profiles built by hand, with tables, grades and the system monitor, for the tests of the reports."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import report_runs

from pytest_llmbench.calibration import Calibration
from pytest_llmbench.profiles.ratings import Grading, as_table, grade
from pytest_llmbench.records import Measurement, MonitorSample, Run, Table

MODEL = "smollm2-135m:Q4_1"

GRADE_COLUMNS = as_table(Grading()).columns

LONG_CONTEXT = Table(
    "long_context_sizes",
    "Prompt speed and memory by context size",
    ("context", "time to first token", "prompt speed", "decode speed", "memory", "largest gap", "class"),
    ("tokens", "s", "tok/s", "tok/s", "B", "s", ""),
    (
        (1024, 4.1, 251.0, 118.0, 310e6, 0.012, "smooth"),
        (2048, 9.4, 218.5, 104.0, 345e6, 0.014, "brief pause"),
        (4096, 23.8, 172.1, 83.0, 415e6, 0.019, "delay"),
        (8192, None, None, None, None, None, "does not fit the model"),
    ),
    {"kind": "line", "x": "context", "y": ["time to first token", "prompt speed", "memory"]},
    note="The prompt cache was off: cache_n was 0 in every reply.",
)
QUALITY = Table(
    "quality_categories",
    "Accuracy by category",
    ("category", "items", "correct", "accuracy", "at least", "at most"),
    ("", "", "", "share", "share", "share"),
    (
        ("facts", 8, 6, 0.75, 0.409, 0.929),
        ("logic", 6, 1, 0.167, 0.03, 0.564),
        ("maths word problems", 6, 0, 0.0, 0.0, 0.39),
    ),
    {"kind": "bars", "x": "category", "y": ["accuracy"]},
    note="95 % interval (Wilson).",
)
BATCH = Table(
    "batch_documents",
    "Every document",
    ("document", "took", "tokens"),
    ("", "s", "tokens"),
    tuple((i + 1, 5.0 + 0.04 * i + 0.2 * math.sin(i), 400 + i) for i in range(80)),
    {"kind": "line", "x": "document", "y": ["took"]},
)


def profile_measurement(
    profile: str, table: Table, rated: tuple[str, ...], scalars: Mapping[str, float], *, n: int = 12
) -> Measurement:
    """A measurement of this profile with its table, its grades, and half a minute of the system monitor."""
    base = report_runs.a_measurement(MODEL, ttft_s=0.4, decode_tps=104, n=n)
    again = dataclasses.replace(base.repetitions[0], index=1_000_000, superseded=True, dirty="others used 61 % of it")
    marked = dataclasses.replace(base.repetitions[1], dirty="others used 38 % of the processors")
    timed = tuple(
        dataclasses.replace(
            r,
            at_s=2.5 * r.index,
            labels={"category": ("facts", "logic", "maths word problems")[r.index % 3]},
            metrics={**r.metrics, **({"correct": float(r.index % 3 == 0)} if profile == "quality" else {})},
        )
        for r in (base.repetitions[0], marked, *base.repetitions[2:])
    )
    calibration = Calibration(20, 0.0002, 0.0004, 0.0009, 0.0003, 0.004, 0.0002, "2026-11-21T04:15:00+00:00", 0.6)
    measured = dataclasses.replace(
        base,
        id=f"m-{profile}",
        profile=profile,
        repetitions=(*timed, again),
        scalars={**base.scalars, **scalars},
        samples=tuple(_sample(second) for second in range(30)),
        unavailable={"temperature_c": "no sensor under /sys/class/hwmon", "package_power_w": "RAPL needs root"},
        client_error=calibration.as_dict(),
    )
    found = grade(measured, rated)
    return dataclasses.replace(
        measured,
        rating=found.word,
        sentence=f"{found.word}: what the {profile} profile says in words (n = {n})",
        tables=(table, as_table(found)),
    )


def _sample(second: int) -> MonitorSample:
    return MonitorSample(
        float(second),
        {
            "rss_bytes": 280e6 + 4e6 * second,
            "system_available_bytes": 6.2e9,
            "cpu_foreign_share": 0.61 if 8 <= second <= 11 else 0.02,
            "psi_cpu_some": 0.4 if 8 <= second <= 11 else 0.0,
            "frequency_hz": 2.45e9,
            "swap_in_bytes": 0,
        },
    )


def profiles_run() -> Run:
    """The mixed run with a measurement of three profiles more: lines, bars, a long table; every grade."""
    run = report_runs.mixed_run()
    more = (
        profile_measurement(
            "long_context",
            LONG_CONTEXT,
            ("context_load_s", "largest_context", "memory_share"),
            {"context_load_s": 23.8, "largest_context": 4096, "memory_share": 0.05},
        ),
        profile_measurement("quality", QUALITY, ("accuracy",), {"accuracy": 0.2}),
        profile_measurement(
            "batch", BATCH, ("documents_per_hour", "temperature_c"), {"documents_per_hour": 702, "speedup": 1.31}
        ),
    )
    return dataclasses.replace(run, measurements=(*run.measurements, *more))
