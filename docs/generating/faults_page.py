"""The reference page of what becomes of failures."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.asker.breaker import AILING, FAILURES, LOST, PAYLOADS, WINDOW
from pytest_llmbench.asker.calling import NOT_BILLED
from pytest_llmbench.asker.fault_table import EXPECTED, MIXED, Expected, Mixed
from pytest_llmbench.asker.payloads import SAME, TARGETS
from pytest_llmbench.asker.retry import BY_THE_PAYLOAD, PASSING, RATE, REFUSED_FOR_S
from pytest_llmbench.asker.retry_budget import A_SECOND, IN_HAND, SHARE
from pytest_llmbench.demo.faults import FAULTS
from pytest_llmbench.errors import Category


def faults_page() -> str:
    """Categories and faults, with what is done about them."""
    return (
        "# What becomes of failures\n\n"
        "When a call to an API fails, its [category](exit-codes.md#categories-of-infra-errors) decides whether it is\n"
        "made again. Why: [Limits, retries and budgets](../explanation/limits-and-budgets.md).\n\n"
        + _categories()
        + _faults()
        + _mixed()
        + _bounds()
    )


def _categories() -> str:
    rows = [
        (f"`{each.value}`", _again(each), _mark(each in AILING), _mark(each in BY_THE_PAYLOAD), _cost(each))
        for each in Category
        if each in PASSING or each in AILING or each in NOT_BILLED
    ]
    heads = ("category", "tried again", "counts against the model", f"{SAME} alike end it", "cost")
    return (
        "## By category\n\nOf every other category nothing is tried again, and what an attempt cost is unknown.\n\n"
        + table(heads, rows)
        + f"\n*Tried again*: up to [`attempts`](options.md#attempts) requests in all, or for {REFUSED_FOR_S:.0f} s\n"
        "without any of them counting. *Counts against the model*: towards its circuit breaker. *Alike*: the same\n"
        "category, status and message in a row, while the model answers others. *Cost*: where the provider told no\n"
        "usage and nothing of an answer had come.\n\n"
    )


def _again(category: Category) -> str:
    if category not in PASSING:
        return "no"
    return f"for {REFUSED_FOR_S:.0f} s" if category in RATE else "up to `attempts`"


def _mark(holds: bool) -> str:
    return "yes" if holds else ""


def _cost(category: Category) -> str:
    return "nothing" if category in NOT_BILLED else "unknown"


def _faults() -> str:
    rows = [_row(each) for each in EXPECTED]
    heads = ("fault", "played", "category", "each time: requests", "waits, s at most", "ends", "once", "attempt costs")
    return (
        "## By fault\n\n"
        "Each [fault of the demo provider](../how-to/try-without-a-key.md), for one question to a model that is asked\n"
        "nothing else: what happens where it goes wrong each time, and where only the first attempt does. The tests\n"
        "ask the real provider and hold what happens against this very table, in OpenAI's format and in Anthropic's,\n"
        "streamed and whole; the category of a whole reply stands behind the stroke where it is another. *Half of the\n"
        "answer*: half of a stream's events, and never those that end it, so that it shows at an answer of one word,\n"
        "too; of a whole reply, half of its bytes.\n\n" + table(heads, rows) + "\n"
    )


def _row(each: Expected) -> tuple[str, ...]:
    category = f"`{each.category.value}`"
    if each.whole is None:
        category += " / answered late"
    elif each.whole is not each.category:
        category += f" / `{each.whole.value}`"
    waits = ", ".join(f"{wait_s:g}" for wait_s in each.waits_s) + (", 30 ..." if each.goes_on else "")
    requests = f"for {REFUSED_FOR_S:.0f} s" if each.goes_on else str(each.requests)
    once = "answered" if each.is_answered else "failed"
    cost = "nothing" if each.cost == "refused" else each.cost
    return f"`{each.fault}`", FAULTS[each.fault].help, category, requests, waits, "failed", once, cost


def _mixed() -> str:
    rows = [_mixed_row(each) for each in MIXED]
    heads = ("one after another", "requests", "attempts that failed cost", "ends", "because")
    return (
        "## Mixed\n\nSeveral in a row for one question; what comes after them is well.\n\n" + table(heads, rows) + "\n"
    )


def _mixed_row(each: Mixed) -> tuple[str, ...]:
    costs = ", ".join("nothing" if cost == "refused" else cost for cost in each.costs)
    ends = "answered" if each.ends_as is None else f"`{each.ends_as.value}`"
    return ", ".join(f"`{fault}`" for fault in each.faults), str(each.requests), costs, ends, each.why


def _bounds() -> str:
    return (
        "## Bounds\n\n"
        f"- **Retries of a run** ≤ {IN_HAND:.0f} + {SHARE:g} × answers + seconds × {A_SECOND:g}\n"
        "  ([`retry_budget`](options.md#retry_budget) is the share).\n"
        f"- **A model is left alone** after {FAILURES} failures that count among its last {WINDOW} attempts,\n"
        f"  of {PAYLOADS} different requests at least, or, where they come one by one, when {LOST} in a row\n"
        "  were given up and another one fails; one that never answered is given up after `attempts` tries,\n"
        "  one that was there when [`outage_patience_s`](options.md#outage_patience_s) is over.\n"
        f"- **A request that fails alike {SAME} times** on each of {TARGETS} models that answer others is at fault\n"
        "  itself: it counts against no model any more, and a third one is asked once.\n"
    )
