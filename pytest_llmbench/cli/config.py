"""`llmbench config`: show where every value comes from, begin a file, print its schema."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_llmbench import config
from pytest_llmbench.cli import project, screen
from pytest_llmbench.config.strict_yaml import KeyPath, dotted
from pytest_llmbench.errors import ConfigError, ExitCode
from pytest_llmbench.option_kinds import as_text
from pytest_llmbench.options import OPTIONS

EXAMPLE = """\
# llmbench.yaml: what pytest-llmbench knows of your models, servers and limits.
# Every section is optional. `llmbench config show` prints what holds and where it comes from;
# `llmbench config schema > llmbench.schema.json` gives editors completion for this file.

# Local models, on top of the built-in ones (`llmbench models list`). Tests name them model:QUANT.
# models:
#   my-model:
#     quants:
#       Q4_K_M:
#         source: "path:models/my-model-q4_k_m.gguf"    # beside this file; or pypi:package==version/file.gguf
#         sha256: "0000000000000000000000000000000000000000000000000000000000000000"    # optional: refuse any other

# Settings of the servers that we start for a local model, by its name or a glob; `llmbench tune MODEL --write` finds
# some.
# server_settings:
#   "smollm2-135m:Q4_1": {threads: 2, ubatch: 256}
#   "gemma3-*": {context: 8192, kv_type: q8_0}

# Servers that run already; they are used as they are and never stopped. Tests name their models server/model.
# servers:
#   lab:
#     url: "http://127.0.0.1:8080"
#     key_env: LAB_KEY    # the environment variable that holds the key; a key itself is refused here

# Providers of models, on top of the built-in ones: openai, openrouter, anthropic, azure, gemini, ollama, llama-server
# and demo. Tests name their models provider/model.
# providers:
#   gateway:
#     url: "https://llm.example.org/v1"
#     format: openai    # or anthropic, azure
#     key_env: GATEWAY_KEY    # read from the environment, then from .env beside pytest's ini file
#     limits: {requests_per_minute: 600, tokens_per_minute: 200000, concurrency: 50}
#     models:
#       small:
#         price: {input: 0.15, output: 0.60, cached: 0.075}    # US dollars for a million tokens
#         capabilities: {images: false, json_schema: true}
#         max_output_tokens: 8192

# Prices of models by glob, in US dollars for a million tokens; the first that matches counts.
# prices:
#   "openai/gpt-5-mini*": {input: 0.25, output: 2.00, cached: 0.025}

# The most that API calls of a run may cost, in US dollars; nothing is asked beyond it.
# budget:
#   run: 5.00
#   models: {"openai/*": 2.00}

# Gates: rules over metrics. A run in which one fails ends with exit code 10.
# gates:
#   - pass_rate >= 0.8
#   - ttft_s p95 <= 0.5    # p50 (the default), p95, p99, median, mean, min or max
#   - {ttft_s: 10%}    # at most so much worse than the baseline
#   - metric: decode_tps
#     min: 5    # or max: ..., or regression: ...; exactly one of them
#     by: bound    # the near end of the 95 % interval has to keep it; or value: the value alone
#     model: "smollm2-*"    # optional, a glob
#     profile: interactive    # optional, a glob

# Your marks for the grade of a metric: excellent is better than the threshold by half, good by a fifth.
# grades:
#   ttft_s: {threshold: 1.0, unusable: 20}

# Your words for a metric, best first; the last may do without a limit.
# ratings:
#   ttft_s:
#     - {limit: 0.2, word: instant}
#     - {limit: 1.0, word: quick}
#     - {word: slow}

# What `llmbench bench` measures: models x quantizations x server settings x profiles.
# matrix:
#   models: [smollm2-135m, gemma3-270m:Q4_K_M, ollama/llama3]    # a name alone: all its quantizations
#   quants: [Q4_1, Q8_0]    # of names alone; default: all
#   servers: {default: {}, long: {context: 16384}}    # default: {default: {}}
#   profiles: [interactive, long_context, batch, quality, stress]
#   choices: {quality: {items: 60}}
#   limits: {ttft_s: 30, decode_tps: 2}    # beyond them a configuration is poor, and what must be worse is skipped

# What raises an alert while a run goes on: it is told, and shown by `llmbench metrics`, and fails nothing.
# alerts:
#   error_rate: 5%    # of a model's calls within the window
#   window: 5m
#   ttft_p95_s: 3
#   cost_per_hour: 2.50    # US dollars, all models together
#   models: {"smollm2-*": {ttft_p95_s: 20}}    # marks of their own

# Several models under one name, for judges and chats: `judge: route/careful`. Never for a model under test.
# routes:
#   careful:
#     models: [anthropic/claude-haiku-4-5, openai/gpt-5-mini]    # where one fails, the next
#     choose: order    # or cheapest, fastest, healthiest
#     rules:
#       - {when: {use_case: "legal-*"}, models: [anthropic/claude-opus-4-5]}
#     unsure: {to: [openai/gpt-5], when: [unusable, border, disagreement]}    # a stronger one where there is a doubt

# When what judges say counts, and is not only told: labels that they were held against, and the lower end of kappa.
# judges: {labels: 50, kappa: 0.4}

# Options for every run in this project. Flags, LLMBENCH_* variables and pytest's ini file come first.
# defaults:
"""


def show(arguments: argparse.Namespace) -> int:
    """Print each value and its source."""
    found = project.resolved(arguments)
    chosen = {name: (origin.value, origin.source) for name, origin in found.origins.items()}
    facts = dict(_facts(found))
    if arguments.json:
        rows = (chosen | facts).items()
        screen.show_json({key: {"value": value, "source": source} for key, (value, source) in rows})
        return ExitCode.OK
    shown = f"{found.config_path}" if found.config_path else "none (`llmbench config init` writes an example)"
    print(f"root directory: {found.rootdir}\nconfiguration file: {shown}")
    print(f"your own: {found.own_document.name}{'' if found.own_document.lines else ' (not there)'}\n")
    _show("option", chosen)
    print()
    # A table of its own: its long keys would take the room of the options' values.
    _show("fact", facts)
    return ExitCode.OK


def _show(head: str, rows: Mapping[str, tuple[Any, str]]) -> None:
    cells = [(key, _text(value), source) for key, (value, source) in rows.items()]
    screen.show_table((head, "is", "from"), cells, cut=("is",))


def init(arguments: argparse.Namespace) -> int:
    """Write a commented example; an existing file stays as it is."""
    path = Path(arguments.file)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError as error:
        raise ConfigError(f"{path} exists and is left as it is", hint="name another file, or edit that one") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    print(f"wrote {path}")
    return ExitCode.OK


def schema(_arguments: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    screen.show_json(config.json_schema())
    return ExitCode.OK


def example() -> str:
    """The commented example; `defaults:` lists every option with its default."""
    allowed = [option for option in OPTIONS if not option.refusal(in_yaml=True)]
    lines = [f"#   {option.name}: {option.default_text or '~'}    # {option.help}" for option in allowed]
    return EXAMPLE + "\n".join(lines) + "\n"


def _facts(found: config.Resolved) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Key path → value and source, for everything of llmbench.yaml but its `defaults:`."""
    facts = found.config.model_dump(exclude={"defaults"}, exclude_none=True)
    for path, value in _leaves(facts, ()):
        yield dotted(path), (value, _source(found, path))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _source(found: config.Resolved, path: KeyPath) -> str:
    if path in found.document.lines and not (path[0] == "budget" and _is_own_cap(found, path)):
        return f"{found.document.name}:{found.document.lines[path]}"
    if path in found.own_document.lines:
        return f"{found.own_document.name}:{found.own_document.lines[path]}"
    # A model's entry replaces the built-in one quant by quant, so a value beside a user's own is not built in.
    is_built_in = path[0] == "models" and path[:-1] not in found.document.lines
    return "built in" if is_built_in else "default"


def _is_own_cap(found: config.Resolved, path: KeyPath) -> bool:
    """Whether a cap that stands in both files holds as the user's own says: the lower one does."""
    if path not in found.own_document.lines:
        return False
    own, projects = (Decimal(str(_at(document.data, path))) for document in (found.own_document, found.document))
    return own < projects


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data[key]
    return data


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else as_text(value) or "–"
