"""Every run-time choice, declared once: flag, ini key, environment variable, `defaults:` key, type, unit, help.

The pytest parser, the `llmbench run` short flags, `Settings`, `llmbench config show` and docs/reference/options.md all
derive from `OPTIONS`. An option marked `personal` (a path to a program) is refused in a project's files: they are data,
and data must not choose what is executed.

Imports the standard library only, and little of it: pytest loads this module in every project. What merges the sources
stands in settings.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What values an option takes: how they are read, and how that is told to people and to editors."""

    allowed: str
    """Completes the sentence "it must be …"."""
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    """JSON Schema of the value in llmbench.yaml."""
    choices: tuple[str, ...] = ()

    def __call__(self, text: str) -> Any:
        """The value of `text`.

        Raises:
            ValueError: `text` is not such a value; the message says what is allowed.
        """
        try:
            return self.read(text)
        except (ValueError, KeyError) as error:
            from pytest_llmbench.errors import did_you_mean  # noqa: PLC0415 - only a wrong value pays for it

            raise ValueError(f"must be {self.allowed}{did_you_mean(text, self.choices)}") from error


class Option(NamedTuple):
    """One row: how a choice is named, read and explained.

    `name` gives `--llmbench-NAME`, `LLMBENCH_NAME`, the ini key `llmbench_name` and `defaults: name:`.
    """

    name: str
    default: Any
    parse: Kind
    metavar: str
    help: str
    unit: str = ""
    personal: bool = False
    """Never read from a project's files (ini, pyproject, llmbench.yaml)."""
    cli_only: bool = False
    """A choice for one run, not a habit."""
    in_yaml: bool = True
    """May stand under `defaults:`; what says where that file is cannot."""

    @property
    def flag(self) -> str:
        return "--llmbench-" + self.name.replace("_", "-")

    @property
    def short_flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return "LLMBENCH_" + self.name.upper()

    @property
    def ini(self) -> str:
        return "llmbench_" + self.name

    @property
    def in_project_files(self) -> bool:
        """Whether ini and pyproject may set it."""
        return not (self.personal or self.cli_only)

    @property
    def default_text(self) -> str:
        """The default as one would type it; empty where there is none."""
        if self.default is None:
            return ""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return ",".join(self.default) if isinstance(self.default, tuple) else str(self.default)


_LARGEST = 2**31 - 1
"""Whole numbers end up in C integers."""


def _whole(minimum: int) -> Kind:
    def read(text: str) -> int:
        number = int(text)
        if not minimum <= number <= _LARGEST:
            raise ValueError(text)
        return number

    schema = {"type": "integer", "minimum": minimum, "maximum": _LARGEST}
    return Kind(f"a whole number, {minimum} or more", read, schema)


def _read_seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e7:
        raise ValueError(text)
    return number


def _read_fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def _read_usd(text: str) -> str:
    """As text: money is counted in decimals, and Decimal is not for a module that every project loads."""
    if not 0 < float(text) < 1e9:
        raise ValueError(text)
    return text


_TRUTH_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

USD = Kind("an amount in US dollars above 0, like 1.50", _read_usd, {"type": ["number", "string"]})
TEXT = Kind("text", str, {"type": "string"})
SECONDS = Kind("a number of seconds above 0", _read_seconds, {"type": "number", "exclusiveMinimum": 0})
FRACTION = Kind("a number from 0 to 1", _read_fraction, {"type": "number", "minimum": 0, "maximum": 1})
TRUTH = Kind("true or false", lambda text: _TRUTH_WORDS[text.lower()], {"type": "boolean"}, ("true", "false"))


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


LIST = Kind("a comma separated list", _read_list, {"type": "array", "items": {"type": "string"}})


def _read_weights(text: str) -> str | dict[str, float]:
    if text == "equal":
        return text
    named = (item.rpartition("=") for item in _read_list(text))
    found = {name.strip(): float(weight) for name, _, weight in named}
    if not found or "" in found or not all(0 < weight < 1e9 for weight in found.values()):
        raise ValueError(text)
    return found


WEIGHTS = Kind("weights above 0 by value, like gold=2,silver=0.5; or equal", _read_weights, {"type": "string"})


def _one_of(*choices: str) -> Kind:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(f"one of {', '.join(choices)}", read, {"enum": list(choices)}, choices)


def _formats(*choices: str) -> Kind:
    def read(text: str) -> tuple[str, ...]:
        items = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
        if items != ("none",) and (not items or not set(items) <= set(choices)):
            raise ValueError(text)
        return items

    one = {"enum": [*choices, "none"]}
    schema = {"anyOf": [{"type": "array", "items": one, "minItems": 1}, {"type": "string"}]}
    return Kind(f"a comma separated list of {', '.join(choices)}; or none", read, schema, (*choices, "none"))


OPTIONS: tuple[Option, ...] = (
    Option("results_dir", ".llmbench", TEXT, "DIR", "where results.db, logs and reports are kept"),
    Option(
        "config",
        "",
        TEXT,
        "FILE",
        "the configuration file (default: llmbench.yaml in the root directory)",
        in_yaml=False,
    ),
    Option(
        "resume", "", TEXT, "RUN", "continue this run: what is finished and unchanged is not done again", cli_only=True
    ),
    Option(
        "report",
        ("html", "json", "csv"),
        _formats("html", "json", "csv", "md", "samples.csv"),
        "FORMATS",
        "reports written at the end, comma separated: html, json, csv, md (Markdown), samples.csv or none",
    ),
    Option("rounds", 4, _whole(1), "N", "rounds of a measurement; every round sends each prompt once"),
    Option("output_tokens", 64, _whole(1), "N", "tokens generated by each request of a speed measurement", "tokens"),
    Option("demo_form", False, TRUTH, "BOOL", "measure with the profiles' small sizes, for demonstrations and CI"),
    Option(
        "retakes",
        2,
        _whole(0),
        "N",
        "how often a repetition is taken again that was timed while others used the machine",
    ),
    Option("calibrate", True, TRUTH, "BOOL", "read a stream of known timing first, to tell how far our client is off"),
    Option("monitor_interval_s", 1.0, SECONDS, "SECONDS", "how often the system monitor looks while we measure", "s"),
    Option(
        "max_error_rate", 0.05, FRACTION, "RATE", "share of tests that may end as infra errors (exit code 11 above)"
    ),
    Option(
        "inconclusive",
        "warn",
        _one_of("fail", "warn", "pass"),
        "WHAT",
        "what an inconclusive gate does: fail (exit code 13), warn or pass",
    ),
    Option(
        "engine",
        "auto",
        _one_of("auto", "llama-server", "embedded"),
        "ENGINE",
        "what serves local models: auto (a configured binary, else llama-server on PATH, else embedded), "
        "llama-server or embedded",
    ),
    Option("llama_server", "", TEXT, "PATH", "the llama-server binary to use", personal=True),
    Option("threads", 0, _whole(0), "N", "threads of a local server; 0: physical cores − 1, at least 1"),
    Option("context", 4096, _whole(1), "N", "context of a local server", "tokens"),
    Option("gpu_layers", 0, _whole(0), "N", "layers a local server keeps on the GPU"),
    Option("load_timeout_s", 300.0, SECONDS, "SECONDS", "how long a local server may take to load", "s"),
    Option("connect_timeout_s", 5.0, SECONDS, "SECONDS", "deadline of a connection", "s"),
    Option("ttft_timeout_s", 120.0, SECONDS, "SECONDS", "deadline of the first generated token", "s"),
    Option("idle_timeout_s", 60.0, SECONDS, "SECONDS", "longest silence within a stream", "s"),
    Option("total_timeout_s", 600.0, SECONDS, "SECONDS", "deadline of a whole request", "s"),
    Option("lock_timeout_s", 3600.0, SECONDS, "SECONDS", "how long to wait for the machine while others measure", "s"),
    Option("models_dir", "", TEXT, "DIR", "where model files are kept (default: the user's cache folder)"),
    Option("offline", False, TRUTH, "BOOL", "never fetch anything: models come from the cache"),
    Option(
        "max_cost", "", USD, "USD", "the most that API calls of the run may cost; nothing is asked beyond it", "USD"
    ),
    Option("max_concurrency", 100, _whole(1), "N", "how many requests may be under way at once to one API model"),
    Option("attempts", 5, _whole(1), "N", "how often a request to an API is tried, where trying again may help"),
    Option(
        "look_ahead",
        0,
        _whole(0),
        "N",
        "how many replies are asked for ahead of the tests; 0: all of them, or 8 with -x and --maxfail",
    ),
    Option(
        "prefer",
        "speed",
        _one_of("speed", "cost"),
        "WHAT",
        "speed, or cost: one request of a common beginning first, so that providers' prompt caches serve the others",
    ),
    Option(
        "dry_run",
        False,
        TRUTH,
        "BOOL",
        "tell calls, tokens, cost and time to be expected, and ask nothing",
        cli_only=True,
    ),
    Option(
        "batch", False, TRUTH, "BOOL", "submit to the providers' batch APIs and end; --resume collects", cli_only=True
    ),
    Option("record", "", TEXT, "FILE", "write all replies of APIs to this cassette", cli_only=True),
    Option("replay", "", TEXT, "FILE", "take all replies of APIs from this cassette; nothing is asked"),
    Option(
        "progress",
        "auto",
        _one_of("auto", "live", "lines", "off"),
        "HOW",
        "progress of asking: a live line on a terminal, else a line a step",
    ),
    Option(
        "models",
        (),
        LIST,
        "NAMES",
        "ask these models, comma separated, in place of those that use cases and stories name",
    ),
    Option(
        "lint",
        "warn",
        _one_of("warn", "error", "off"),
        "WHAT",
        "what a doubtful expected answer or story does: warn; off; or error, which ends the collection, so that "
        "nothing is asked",
    ),
    Option("limit", None, _whole(1), "N", "ask at most so many samples of each use case (default: as it says itself)"),
    Option(
        "seed",
        None,
        _whole(0),
        "N",
        "another seed chooses other samples within a limit (default: as the use case says itself)",
    ),
    Option(
        "stratify",
        "",
        TEXT,
        "FIELD",
        "give each value of this field its share of the limit: a column, or expected.KEY (default: as the page says)",
    ),
    Option(
        "weights",
        None,
        WEIGHTS,
        "WEIGHTS",
        "how many times its share a value of that field is to have: VALUE=TIMES, comma separated; equal: all as many "
        "(default: as the page says, for the field that it names)",
        cli_only=True,
    ),
    Option("ids", (), LIST, "IDS", "ask only these samples, comma separated", cli_only=True),
    Option("only_failing", False, TRUTH, "BOOL", "ask only samples that were not right in the last run", cli_only=True),
    Option(
        "prompt_mode",
        "declared",
        _one_of("declared", "fair", "optimized"),
        "MODE",
        "fair: the same prompt for all models; optimized: each model's best variant; declared: as the use case says",
    ),
    Option(
        "prompt_variant",
        "",
        TEXT,
        "NAME",
        "ask all models by this variant of the prompt; base is the prompt itself, each compares all of them",
        cli_only=True,
    ),
    Option(
        "allow_execute",
        False,
        TRUTH,
        "BOOL",
        "run code that a model wrote, for the validator `execute`; there is no sandbox",
        personal=True,
    ),
    Option("keep_prompts", True, TRUTH, "BOOL", "store prompts and replies beside their numbers"),
)
"""Every run-time choice, in the order in which the documentation shows them."""

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}


def add_options(group: Any, add_ini: Callable[..., None]) -> None:
    """Register every option with pytest.

    Args:
        group: pytest's option group.
        add_ini: the parser's `addini`.
    """
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.ini, metavar=option.metavar, default=None, help=_help(option))
        if option.in_project_files:
            add_ini(option.ini, help=_help(option), default=None)


def _help(option: Option) -> str:
    default = f" (default: {option.default_text})" if option.default_text else ""
    return option.help.replace("%", "%%") + default


def ini_values(read: Callable[[str], Any]) -> dict[str, str | None]:
    """What ini and pyproject say of the options that they may set, by option name; None where they say nothing.

    Args:
        read: pytest's `config.getini`.
    """
    return {option.name: read(option.ini) or None for option in OPTIONS if option.in_project_files}


def refusal(option: Option, *, in_yaml: bool) -> str:
    """Why a project's file may not set this option; empty where it may."""
    if option.personal:
        return "names a program to run, and a project's files may not choose what is executed"
    if option.cli_only:
        return "is a choice for one run, not for a file"
    if in_yaml and not option.in_yaml:
        return "says where this file is, so it cannot stand in it"
    return ""


def as_text(value: Any) -> str:
    """A value from a file as it would be typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
