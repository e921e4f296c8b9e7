"""`llmbench recommend`: which of the measured models to run, for which use, and why; reads the store only."""

from __future__ import annotations

import argparse

from pytest_llmbench.cli import screen
from pytest_llmbench.cli.runs import opened
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.reports.terminal_advice import advice_in_full
from pytest_llmbench.reports.terminal_lines import MARKUP
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import Constraints


def recommend(arguments: argparse.Namespace) -> int:
    """Print the advice of a run."""
    use = arguments.use.replace("-", "_")
    wanted = Constraints(use, arguments.max_memory, arguments.min_tps, arguments.max_vram)
    with opened(arguments) as (store, _):
        run = store.load_run(arguments.run)
    advice = recommendations(run, wanted)
    if arguments.json:
        screen.show_json({"run": run.id, **advice.as_dict()})
        return ExitCode.OK
    screen.show_line(f"run {run.id}, started {run.started_at}")
    for line in advice_in_full(advice, screen.width()):
        screen.show_styled((text, MARKUP[style]) for text, style in line)
    return ExitCode.OK
