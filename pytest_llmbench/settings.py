"""The choices of one run, merged from all their sources.

Precedence: CLI flag > `LLMBENCH_*` environment > ini/pyproject > `defaults:` of llmbench.yaml > default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.option_kinds import Option, as_text
from pytest_llmbench.options import OPTIONS

DEFAULT = "default"
"""The source of a value that nobody gave."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices of one run, merged and typed; one field per row of `OPTIONS`."""

    results_dir: str
    config: str
    resume: str
    rejudge: str
    report: tuple[str, ...]
    report_template: str
    rounds: int
    output_tokens: int
    demo_form: bool
    retakes: int
    calibrate: bool
    monitor_interval_s: float
    max_error_rate: float
    inconclusive: str
    engine: str
    llama_server: str
    threads: int
    context: int
    gpu_layers: int
    load_timeout_s: float
    connect_timeout_s: float
    ttft_timeout_s: float
    idle_timeout_s: float
    total_timeout_s: float
    lock_timeout_s: float
    models_dir: str
    offline: bool
    max_cost: str
    """US dollars as decimal text; empty: no cap."""
    max_concurrency: int
    attempts: int
    retry_budget: float
    outage_patience_s: float
    look_ahead: int
    prefer: str
    dry_run: bool
    batch: bool
    record: str
    replay: str
    cache: str
    progress: str
    request_log: str
    traces: bool
    log_console: str
    models: tuple[str, ...]
    quants: tuple[str, ...]
    profiles: tuple[str, ...]
    selection: str
    prune: bool
    time_budget: float | None
    """Seconds; None: as long as it takes."""
    judge: tuple[str, ...]
    calibrations: str
    baselines: str
    baseline: str
    keep_calibrations: bool
    judge_canaries: bool
    lint: str
    limit: int | None
    seed: int | None
    stratify: str
    weights: Mapping[str, float] | str | None
    ids: tuple[str, ...]
    corrupt: tuple[str, ...]
    only_failing: bool
    stop_early: bool
    prompt_mode: str
    prompt_variant: str
    allow_execute: bool
    keep_prompts: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """A value, and where it was given: `--llmbench-rounds`, `LLMBENCH_ROUNDS`, `pyproject.toml`, `default`, ..."""

    value: Any
    source: str


def merge(
    cli: Mapping[str, str | None],
    environ: Mapping[str, str],
    ini: Mapping[str, str | None],
    yaml_defaults: Mapping[str, Any],
    *,
    ini_name: str = "ini file",
    yaml_name: str = "llmbench.yaml",
) -> dict[str, Origin]:
    """Merge the sources, first found wins, and type each value.

    Args:
        cli: option name → text given on the command line, None where not given.
        environ: the process environment.
        ini: option name → text of the ini file or pyproject.
        yaml_defaults: `defaults:` of llmbench.yaml.
        ini_name: how to name the ini file in an error.
        yaml_name: how to name the YAML file in an error.

    Returns:
        Option name → value and source.

    Raises:
        ConfigError: a value is not valid, or a project's file sets what only its user may set.
    """
    files = ((ini, ini_name, False), (yaml_defaults, yaml_name, True))
    merged: dict[str, Origin] = {}
    for option in OPTIONS:
        found = _first_given(option, cli, environ, files)
        merged[option.name] = Origin(_typed(option, found), found.source)
    return merged


def typed(merged: Mapping[str, Origin]) -> Settings:
    """The frozen settings of a merge."""
    return Settings(**{field.name: merged[field.name].value for field in fields(Settings)})


def _first_given(
    option: Option,
    cli: Mapping[str, str | None],
    environ: Mapping[str, str],
    files: Iterable[tuple[Mapping[str, Any], str, bool]],
) -> Origin:
    if (given := cli.get(option.name)) is not None:
        return Origin(given, option.flag)
    if environ.get(option.env) and not option.cli_only:
        return Origin(environ[option.env], option.env)
    for values, name, is_yaml in files:
        if values.get(option.name) is not None:
            if reason := option.refusal(in_yaml=is_yaml):
                raise ConfigError(f"{name}: {option.name}: {reason}", hint=_elsewhere(option))
            return Origin(values[option.name], name)
    return Origin(option.default, DEFAULT)


def _elsewhere(option: Option) -> str:
    return f"pass {option.flag}" + ("" if option.cli_only else f" or set {option.env}")


def _typed(option: Option, found: Origin) -> Any:
    if found.source == DEFAULT:
        return option.default
    text = as_text(found.value)
    try:
        return option.parse(text)
    except ValueError as error:
        raise ConfigError(
            f"{found.source}: {option.name} = {text[:80]!r} {error}",
            hint=f"{option.name}: {option.help}"
            + (f" (default: {option.default_text})" if option.default_text else ""),
        ) from error
