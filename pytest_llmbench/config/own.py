"""The user's own configuration: what holds in every project, and what no project's file may say (`key_command`)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import platformdirs

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.provider_schema import BudgetDef, OwnConfig, ProviderDef, merged_provider
from pytest_llmbench.config.schema import LlmbenchConfig
from pytest_llmbench.config.strict_yaml import Document

__all__ = ["OwnConfig", "document", "merged", "path"]


def path() -> Path:
    """Where it stands, whether or not it is there."""
    return platformdirs.user_config_path("pytest-llmbench") / "llmbench.yaml"


def document() -> Document:
    """The file as read; empty where there is none.

    Raises:
        ConfigError: it cannot be read, or is not plain YAML with a mapping at its top.
    """
    file = path()
    return strict_yaml.read(file, str(file)) if file.is_file() else Document(str(file))


def merged(own: OwnConfig, projects: LlmbenchConfig) -> LlmbenchConfig:
    """The project's configuration with the user's own below it.

    Args:
        own: the user's.
        projects: the project's; a server in it hides a provider of the user's that has its name.
    """
    providers: dict[str, ProviderDef] = {
        name: provider for name, provider in own.providers.items() if name not in projects.servers
    }
    for name, provider in projects.providers.items():
        providers[name] = merged_provider(providers[name], provider) if name in providers else provider
    # The first glob that matches counts, so the project's come first.
    prices = {**projects.prices, **{name: price for name, price in own.prices.items() if name not in projects.prices}}
    budget = _merged_budget(own.budget, projects.budget)
    return projects.model_copy(update={"providers": providers, "prices": prices, "budget": budget})


def _merged_budget(own: BudgetDef, projects: BudgetDef) -> BudgetDef:
    """The lower cap of both: no project's file spends more than its user allows."""
    return BudgetDef(
        run=_lower(own.run, projects.run),
        models=_lowest(own.models, projects.models),
        use_cases=_lowest(own.use_cases, projects.use_cases),
    )


def _lowest(own: dict[str, str], projects: dict[str, str]) -> dict[str, str]:
    caps = {name: _lower(own.get(name), projects.get(name)) for name in own | projects}
    return {name: cap for name, cap in caps.items() if cap is not None}


def _lower(one: str | None, other: str | None) -> str | None:
    given = [cap for cap in (one, other) if cap is not None]
    return min(given, key=Decimal, default=None)
