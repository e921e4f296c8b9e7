"""`llmbench route`: which model a route would ask now, and why; nothing is asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.asker.question import Status
from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.route_health import health_json, health_words
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.config import Resolved
from pytest_llmbench.config.route_schema import PREFIX
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.local_models import LocalModels
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.results.money import money
from pytest_llmbench.routing.difficulty import parts
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.knowledge import Knowledge
from pytest_llmbench.routing.route import Route
from pytest_llmbench.routing.router import Candidate, Ranking, ranked
from pytest_llmbench.routing.routes import Routes
from pytest_llmbench.store import Store
from pytest_llmbench.store.model_health import ModelHealth

_HEADS = ("", "model", "why", "expected", "a reply takes")


def route(arguments: argparse.Namespace) -> int:
    """Print whom a route would ask with a prompt, each model with price and latency; all routes where none is named."""
    resolved = project.resolved(arguments).with_value("dry_run", True).with_value("offline", True)
    names = [arguments.name] if arguments.name else list(resolved.config.routes)
    if not names:
        screen.show_line("llmbench.yaml names no route; `routes: {careful: {models: [a/x, b/y]}}` would be one")
        return ExitCode.OK
    routes, told = _routes(resolved), []
    with ExitStack() as opened:
        store = _stored(resolved, opened)
        knowledge = Knowledge(Providers(resolved).target, Status, store.recent_replies if store else lambda _: ())
        for name in names:
            found = routes.route(name if name.startswith(PREFIX) else PREFIX + name)
            figures = Figures(_request(found, arguments.prompt), arguments.use_case)
            fared = [health for model in found.members if store and (health := store.model_health(model))]
            told.append((found, figures, ranked(found, figures, knowledge.of(found.members)), fared))
    if arguments.json:
        screen.show_json([_as_json(*each) for each in told])
    else:
        for each in told:
            _show(*each)
    return ExitCode.OK


def _routes(resolved: Resolved) -> Routes:
    from pytest_llmbench.servers import host  # noqa: PLC0415 - only where a model of this machine is named

    providers = Providers(resolved)
    local = LocalModels(resolved, host.describe, providers.unknown, screen.show_line)
    check: Callable[[str], str] = lambda name: name if providers.is_remote(name) else local.known(name)  # noqa: E731
    return Routes(resolved, check, providers.is_remote)


def _stored(resolved: Resolved, opened: ExitStack) -> Store | None:
    """The results database; None where nothing was ever stored."""
    path = resolved.results_dir / "results.db"
    return opened.enter_context(Store.open(path)) if path.exists() else None


def _request(route: Route, prompt: str) -> ChatRequest:
    return ChatRequest(route.members[0], ({"role": "user", "content": prompt},))


def _show(route: Route, figures: Figures, ranking: Ranking, fared: Sequence[ModelHealth]) -> None:
    screen.show_line(f"{route.name}: {_said(route, figures, ranking)}")
    rows = [_row(at, each) for at, each in enumerate(ranking.candidates, start=1)]
    rows += [("–", model, f"not asked: {why}", "", "") for model, why in ranking.refused.items()]
    screen.show_table(_HEADS, rows, cut={"why"})
    if route.unsure:
        screen.show_line(f"  in doubt ({', '.join(sorted(route.unsure.when))}): {', '.join(route.unsure.to)}")
    if fared:
        screen.show_line("  last asked, as stored (a new run begins afresh):")
    for health in fared:
        screen.show_line(f"    {health_words(health, clock.now())}")


def _said(route: Route, figures: Figures, ranking: Ranking) -> str:
    counted = f"{figures.tokens:,} tokens, difficulty {figures.difficulty:.2f}"
    rule = f"by the rule {{{ranking.rule}}}" if ranking.rule else f"choose: {route.choose}"
    return "; ".join(filter(None, (rule, counted, ranking.hard)))


def _row(at: int, candidate: Candidate) -> tuple[str, ...]:
    known = candidate.known
    latency = "–" if known.latency_s is None else f"{known.latency_s:.2g} s"
    return f"{at}.", candidate.model, candidate.why, money(candidate.cost_usd), latency


def _as_json(route: Route, figures: Figures, ranking: Ranking, fared: Sequence[ModelHealth]) -> Mapping[str, Any]:
    return {
        "route": route.name,
        "choose": route.choose,
        "rule": ranking.rule,
        "tokens": figures.tokens,
        "difficulty": {"value": figures.difficulty, **dict(parts(figures.request.messages))},
        "order": [
            {
                "model": each.model,
                "why": each.why,
                "expected_usd": None if each.cost_usd is None else f"{each.cost_usd:f}",
                "latency_s": each.known.latency_s,
                "stronger": each.is_stronger,
            }
            for each in ranking.candidates
        ],
        "refused": dict(ranking.refused),
        "unsure": {"to": list(route.unsure.to), "when": sorted(route.unsure.when)} if route.unsure else None,
        "last_asked": [health_json(each) for each in fared],
    }
