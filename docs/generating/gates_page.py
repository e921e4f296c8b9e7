"""The reference page of gates."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.config import gate
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.metrics import METRICS, OF_USE_CASES
from pytest_llmbench.results.gates import describe
from pytest_llmbench.results.under_gates import QUALITY
from pytest_llmbench.results.unexpected import CASES
from pytest_llmbench.stats.limits import ALPHA
from pytest_llmbench.stats.tails import requests_needed

_EXAMPLES = (
    "pass_rate >= 0.8",
    "pass_rate >= 80%",
    "ttft_s p95 <= 0.5",
    "total_cost_usd <= 2",
    "error_rate <= 2%",
)
_LATE = (0, 1, 2, 5)
_EXITS = (
    ExitCode.TESTS_FAILED,
    ExitCode.OVER_BUDGET,
    ExitCode.INFRA_ERRORS,
    ExitCode.GATE_FAILED,
    ExitCode.INCONCLUSIVE,
    ExitCode.PENDING,
)


def gates_page() -> str:
    """Spellings, what decides, what happens to the unexpected, exit codes."""
    parts = _intro, _spellings, _deciding, _unexpected, _tails, _exits
    return "\n".join(part() for part in parts)


def _intro() -> str:
    return (
        "# Gates\n\n"
        "Rules over metrics that decide the exit status. How to write them: [Write gates](../how-to/write-gates.md);\n"
        "why they decide as they do: [Gates that do not cry wolf](../explanation/gates.md).\n"
    )


def _spellings() -> str:
    rows = [(f"`{said}`", f"`{describe(gate(said))}`") for said in _EXAMPLES]
    rows += [
        ("`{metric: pass_rate, min: 0.8, by: value, model: smollm2-*}`", "the value alone, of these models"),
        ("`{ttft_s: 10%}`", "at most 10 % slower than the baseline"),
        ("`{metric: pass_rate, regression: 3 points}`", "at most 3 points worse than the baseline"),
        ("`{cost_usd: 0.001}`", "at most $0.001 dearer than the baseline"),
    ]
    of_cases = ", ".join(f"`{name}`" for name in METRICS if name in OF_USE_CASES)
    counted = ", ".join(f"`{name}`" for name in sorted(QUALITY))
    return (
        "## Spelling\n\n"
        "An item of `gates:` in [llmbench.yaml](configuration.md#gate) (`thresholds:` is its older name) and in\n"
        "the front matter of a [use case](use-case.md#gate), or an argument of `@pytest.mark.gate(...)` on a test, a\n"
        'class or a module. There, margins may be keywords: `@pytest.mark.gate("pass_rate >= 0.8", ttft_s="10%")`.\n\n'
        + table(("written", "means"), rows)
        + f"\n{of_cases} are of use cases;\n`profile` names the use case there. All "
        "[metrics](metrics.md) can be gated. Under a gate of "
        f"{counted} a wrong sample is counted (`w`) and\nfails nothing by itself.\n"
    )


def _deciding() -> str:
    rows = [
        ("limit, `by: bound`", "95 % interval keeps it", f"value breaks it, p < {ALPHA:g} after correction"),
        ("limit, `by: value`", "value keeps it", "value breaks it"),
        ("limit of a tail (`p95`, `p99` with `max`)", "binomial test, 95 %", f"binomial test, p < {ALPHA:g}"),
        ("regression", "95 % interval of the change within the margin", f"change beyond it, p < {ALPHA:g}"),
        ("`max_error_rate`, budget", "kept", "broken"),
    ]
    return (
        "## What decides\n\n"
        + table(("rule", "passes", "fails"), rows)
        + "\nAll else is *inconclusive*; the reason says how many values would tell, and which change those there\n"
        "are would have shown four times out of five. The p-values are corrected over all gates of the run (Holm):\n"
        f"a run in which nothing changed fails at all with a chance of {ALPHA * 100:g} %, however many gates it has.\n"
        "What is measured once by nature (`load_s`, `peak_rss_bytes`), `min` and `max` have no interval: the value\n"
        "decides.\n"
    )


def _unexpected() -> str:
    rows = [(case.when, f"**{case.verdict}**", case.next_step) for case in CASES.values()]
    return "## What is not as expected\n\nNever silently green:\n\n" + table(("when", "verdict", "what to do"), rows)


def _tails() -> str:
    rows = [(f"p{percent}", *(f"{requests_needed(percent, late=late):,}" for late in _LATE)) for percent in (95, 99)]
    return (
        "## How many requests a tail takes\n\n"
        "So many are needed to pass, with so many over the limit among them:\n\n"
        + table(("percentile", *(f"{late} late" for late in _LATE)), rows)
    )


def _exits() -> str:
    rows = [(str(code.value), code.meaning) for code in _EXITS]
    return (
        "## Exit codes\n\n"
        "The first of these that applies, else 0; [all of them](exit-codes.md):\n\n"
        + table(("code", "meaning"), rows)
        + "\n`--inconclusive=fail` makes an inconclusive gate 13; `warn` (the default) and `pass` leave the status\n"
        "alone.\n"
    )
