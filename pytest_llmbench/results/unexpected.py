"""What a gate says where things are not as it expects them: one table, by which the code decides and the docs tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FAIL, INCONCLUSIVE = "fail", "inconclusive"


@dataclass(frozen=True, slots=True)
class Unexpected:
    """One such case."""

    when: str
    verdict: str
    next_step: str


CASES: Mapping[str, Unexpected] = {
    "not_measured": Unexpected(
        "The metric was not measured, or no sample has a verdict.",
        INCONCLUSIVE,
        "measure it, or take the gate out",
    ),
    "no_number": Unexpected(
        "A value among those measured is no number (NaN, infinite).",
        INCONCLUSIVE,
        "look at what measured it; the others alone decide nothing",
    ),
    "unmatched": Unexpected(
        "Nothing in the run fits the gate's `model`, `profile` or use case.",
        INCONCLUSIVE,
        "correct the pattern; only a part of the tests ran, perhaps",
    ),
    "cost_unknown": Unexpected(
        "Of some calls nobody knows the cost, and what is known keeps the limit.",
        INCONCLUSIVE,
        "write the model's price into `prices:`; known costs beyond the limit fail all the same",
    ),
    "page_gone": Unexpected(
        "`llmbench regate`: the page that had declared the gate cannot be read any more.",
        INCONCLUSIVE,
        "bring it back, or judge without it (`--inconclusive pass`)",
    ),
    "no_baseline": Unexpected(
        "There is no baseline of the branch, the branch it is merged into, or the main one.",
        INCONCLUSIVE,
        "`llmbench baseline bless`",
    ),
    "baseline_unusable": Unexpected(
        "The baseline was changed after it was blessed, cannot be read, or is not where `--baseline` says (a run "
        "that names such a file is refused before anything is asked).",
        FAIL,
        "restore the file, or bless anew",
    ),
    "gone": Unexpected(
        "The baseline has the metric of this model and profile or use case; the run ran that, and has not the metric.",
        FAIL,
        "bring it back, or bless the run: that accepts it",
    ),
    "not_run": Unexpected(
        "The baseline has a use case, profile or model that the run did not run at all: only a part of the tests was "
        "run, or it was renamed.",
        INCONCLUSIVE,
        "run it, or bless a run without it; `--inconclusive fail` where all of it always runs",
    ),
    "new": Unexpected(
        "The run has the metric, the baseline has not.",
        INCONCLUSIVE,
        "`llmbench baseline bless` takes it in",
    ),
    "fewer_samples": Unexpected(
        "Samples of the baseline have no result now, no more of them than `max_error_rate`, and those that have keep "
        "the margin.",
        INCONCLUSIVE,
        "ask them, or bless without them; a change for the worse in the others fails all the same",
    ),
    "lost_samples": Unexpected(
        "More samples of the baseline than `max_error_rate` have no result now, and no option left them out.",
        FAIL,
        "mend what kept them from being answered",
    ),
    "other_samples": Unexpected(
        "No sample of the baseline is the same now (by id and content).",
        INCONCLUSIVE,
        "bless a baseline of this version of the use case",
    ),
    "other_machine": Unexpected(
        "The baseline is of another class of machine: CPU, cores, memory, GPU, system.",
        INCONCLUSIVE,
        "bless one on this class; speed alone is held back, quality and cost are compared",
    ),
    "other_pace": Unexpected(
        "The machine itself does a fixed piece of work faster or slower than when the baseline was blessed.",
        INCONCLUSIVE,
        "measure again, or `llmbench ab`; speed alone is held back",
    ),
    "disturbed": Unexpected(
        "Something else used the machine while it was measured, now or when the baseline was blessed.",
        INCONCLUSIVE,
        "measure again on a quiet machine, or gate `cpu_s_per_token`; speed alone is held back",
    ),
    "other_subject": Unexpected(
        "Model file, server build or settings of a measurement are others.",
        INCONCLUSIVE,
        "that starts a new baseline: bless it",
    ),
}
"""By what the code calls it."""


def said(case: str, text: str) -> dict[str, Any]:
    """What a finding gets where such a case is met: `fault` where it fails, `doubt` where it cannot be decided.

    Args:
        case: its name in `CASES`.
        text: what is so, here.
    """
    return {"fault" if CASES[case].verdict == FAIL else "doubt": text}
