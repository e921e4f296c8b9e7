"""`llmbench ab`: which of two is slower, and how surely; both measured now, in turns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pytest_llmbench.ab.contest import OF_SERVERS, Ended, Terms, contest
from pytest_llmbench.ab.side import AbLoad, Side
from pytest_llmbench.ab.sides import typed
from pytest_llmbench.ab.telling import HEADS, rows_of, told
from pytest_llmbench.cli import project, screen
from pytest_llmbench.config import Resolved
from pytest_llmbench.config.margins import MarginKind, margin
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import ExitCode, InfraError, UsageError, did_you_mean
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.results.machine_class import machine_class
from pytest_llmbench.results.noise_floor import noise_floor
from pytest_llmbench.servers import host

_OF_CPU_TIME = frozenset({"cpu_s_per_token"})


def ab(arguments: argparse.Namespace) -> int:
    """Measure, print what came of it, and end with 10 where B is slower, 13 where nobody knows and that is to fail.

    A server that fails ends it with 11; what was measured is stored, and `--resume` goes on from there.

    Raises:
        UsageError: a side, a metric or a margin cannot be.
    """
    resolved = project.resolved(arguments)
    try:
        ended = run(resolved, _terms(arguments, resolved))
    except InfraError as error:
        screen.show_problem(str(error))
        return ExitCode.INFRA_ERRORS
    if arguments.json:
        screen.show_json({"run": ended.run_id, "exit_code": ended.exit_code, **told(ended.match, ended.gates)})
    else:
        _show(ended, resolved)
    return ended.exit_code


def run(resolved: Resolved, terms: Terms) -> Ended:
    """`contest`, telling how it goes on standard error."""
    begun = [Path(sys.argv[0]).name, *sys.argv[1:]]
    try:
        return contest(resolved, terms, begun, _say)
    except KeyboardInterrupt:
        _say("whole pairs are stored: the same words with `--resume last` go on from there")
        raise


def _say(text: str) -> None:
    print(f"llmbench: {terminal_safe(text)}", file=sys.stderr, flush=True)


def _terms(arguments: argparse.Namespace, resolved: Resolved) -> Terms:
    a = typed(arguments.a, binary=arguments.llama_server_a)
    return Terms(
        a,
        typed(arguments.b, binary=arguments.llama_server_b, like=a.name),
        AbLoad(arguments.requests, arguments.tokens),
        _margins(arguments),
        most_pairs=arguments.pairs,
        limit_s=arguments.minutes * 60,
        floor=partial(_floor, resolved.results_dir),
    )


def _show(ended: Ended, resolved: Resolved) -> None:
    screen.show_line(ended.sentence)
    print()
    screen.show_table(HEADS, rows_of(ended.gates))
    print()
    screen.show_line(
        f"A: {ended.match.a.label}; B: {ended.match.b.label}; n = {len(ended.match.pairs)} pairs of blocks"
    )
    for note in ended.match.notes():
        screen.show_line(note)
    for path in ended.written:
        screen.show_line(
            f"report: {path.relative_to(resolved.rootdir) if path.is_relative_to(resolved.rootdir) else path}"
        )


def _margins(arguments: argparse.Namespace) -> Mapping[str, float]:
    """Those that were typed; empty where all is as usual."""
    if not arguments.metric and arguments.margin is None and arguments.wall_margin is None:
        return {}
    cpu = _share(arguments.margin, OF_SERVERS["cpu_s_per_token"])
    wall = _share(arguments.wall_margin, OF_SERVERS["ttft_s"])
    names = arguments.metric or list(OF_SERVERS)
    if wrong := [name for name in names if name not in METRICS]:
        raise UsageError(f"there is no metric {wrong[0]!r}{did_you_mean(wrong[0], METRICS)}")
    return {name: cpu if name in _OF_CPU_TIME else wall for name in names}


def _share(text: str | None, usual: float) -> float:
    if text is None:
        return usual
    try:
        found = margin(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if found.kind is not MarginKind.RELATIVE:
        raise UsageError(f"a margin of speed is a share, not {text!r}", hint="5%")
    return found.amount


def _floor(folder: Path, side: Side, metric: str, pairs: int) -> float | None:
    kept = noise_floor(folder, machine_class(host.describe()), side.model_name, side.build)
    return kept.share(metric, pairs) if kept else None
