"""Every verb of `llmbench`, declared once: its words, help, arguments, and the function that does it.

The parser and docs/reference/cli.md derive from `VERBS`. A verb's module is imported when the verb runs, so that
`llmbench --help` stays instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from pytest_llmbench.cli.cache_verbs import CACHE_VERBS
from pytest_llmbench.cli.chat_verbs import CHAT_VERBS
from pytest_llmbench.cli.demo_flags import SERVING, TRAITS
from pytest_llmbench.cli.gate_verbs import GATE_VERBS
from pytest_llmbench.cli.judge_verbs import JUDGE_VERBS
from pytest_llmbench.cli.model_verbs import MODEL_VERBS
from pytest_llmbench.cli.observe_verbs import OBSERVE_VERBS
from pytest_llmbench.cli.route_verbs import ROUTE_VERBS
from pytest_llmbench.cli.run_verbs import LIKE_RUN, RUN_VERBS
from pytest_llmbench.cli.usecase_verbs import USE_CASE_VERBS
from pytest_llmbench.cli.values import check
from pytest_llmbench.cli.verb import (
    DATABASE,
    JSON,
    RESULT_SETTINGS,
    ROOTDIR,
    RUN,
    SOURCE,
    YES,
    Argument,
    Verb,
)
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.option_kinds import TRUTH, Option
from pytest_llmbench.options import BY_NAME, OPTIONS, REPORT_FORMATS

DESCRIPTION = "Evaluate and benchmark language models with pytest: quality, speed and cost of the same call."

VERBS: tuple[Verb, ...] = (
    *RUN_VERBS,
    Verb(
        ("regate",),
        "hold the gates as they are now against a stored run, and end as it would have; nothing is asked or changed",
        "regate:regate",
        (
            RUN,
            Argument(("paths",), "only what lies in these files and folders", {"metavar": "PATHS", "nargs": "*"}),
            Argument(
                ("-o", "--output"),
                "where to write the one report of --report (default: beside the run's other reports)",
                {"metavar": "FILE", "default": ""},
            ),
            ROOTDIR,
        ),
        (*RESULT_SETTINGS, "report", "max_error_rate", "inconclusive"),
    ),
    Verb(
        ("config", "show"),
        "print every value and where it came from",
        "config:show",
        (JSON, ROOTDIR),
        tuple(option.name for option in OPTIONS if not option.cli_only),
    ),
    Verb(
        ("config", "init"),
        "write a commented example",
        "config:init",
        (Argument(("file",), "where to", {"metavar": "FILE", "nargs": "?", "default": "llmbench.yaml"}),),
    ),
    Verb(
        ("config", "import"),
        "make llmbench.yaml of the older pair config.yaml and models.yaml, and tell what was not taken over",
        "config_import:import_pair",
        (
            Argument(("models",), "the models (default: models.yaml)", {"nargs": "?", "default": "models.yaml"}),
            Argument(
                ("config_file",),
                "the settings (default: config.yaml, where there is one)",
                {"metavar": "config", "nargs": "?", "default": "config.yaml"},
            ),
            Argument(
                ("-o", "--output"), "where to (default: llmbench.yaml)", {"metavar": "FILE", "default": "llmbench.yaml"}
            ),
        ),
    ),
    Verb(("config", "schema"), "print the JSON Schema of llmbench.yaml", "config:schema"),
    Verb(
        ("doctor",),
        "check keys, providers, versions, engines, disks and the clock, and say what to mend; ends with 1 on a problem",
        "doctor:examine",
        (JSON, ROOTDIR),
        ("config", "results_dir", "models_dir", "offline", "engine", "llama_server"),
    ),
    *MODEL_VERBS,
    Verb(("runs", "list"), "list stored runs, newest first", "runs:list_runs", (JSON, ROOTDIR), RESULT_SETTINGS),
    Verb(("runs", "show"), "print a run", "runs:show", (RUN, JSON, ROOTDIR), RESULT_SETTINGS),
    Verb(
        ("runs", "rm"),
        "remove runs with their replies, measurements, reports and logs",
        "runs:remove",
        (
            Argument(("runs",), "ids of the runs", {"metavar": "RUN", "nargs": "+"}),
            YES,
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
    Verb(
        ("db", "check"),
        "examine the results database; ends with 1 where it is not sound",
        "db:check",
        (DATABASE, JSON, ROOTDIR),
        RESULT_SETTINGS,
    ),
    Verb(
        ("db", "recover"),
        "save what can be read of a damaged results database in a new one, and put the damaged file aside",
        "db:recover",
        (
            DATABASE,
            Argument(("--to",), "make the new database there, and leave all else as it is", {"metavar": "TARGET"}),
            JSON,
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
    Verb(("questions", "show"), "print the questions of a set", "questions:show", (SOURCE, JSON)),
    Verb(
        ("questions", "lint"),
        "check that every question passes its own answer and nothing wrong; ends with 1 where one does not",
        "questions:lint_set",
        (SOURCE, JSON),
    ),
    *USE_CASE_VERBS,
    *JUDGE_VERBS,
    *GATE_VERBS,
    *CACHE_VERBS,
    *CHAT_VERBS,
    *OBSERVE_VERBS,
    *ROUTE_VERBS,
    Verb(
        ("report",),
        "write the report of a stored run",
        "report:report",
        (
            RUN,
            Argument(
                ("-f", "--format"),
                "the format (default: html)",
                {"choices": REPORT_FORMATS},
            ),
            Argument(
                ("--template",),
                "by a template of your own in place of a format: summary.html.j2 makes summary.html",
                {"metavar": "FILE", "default": ""},
            ),
            Argument(
                ("--server-logs",),
                "with the logs of the servers inside (html)",
                {"action": "store_true"},
            ),
            Argument(
                ("-o", "--output"),
                "where to; - is standard output (default: beside the run's other reports)",
                {"metavar": "FILE", "default": ""},
            ),
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
    Verb(
        ("demo-server",),
        "serve demo models on this machine: answers by rule, latency, limits and faults as told; no key needed",
        "demo:serve",
        tuple(Argument(*flag) for flag in (*SERVING, *TRAITS)),
    ),
)

GROUPS: Mapping[str, str] = {
    "config": "show, begin and check the configuration",
    "models": "models: local files, and what providers offer",
    "runs": "stored runs",
    "db": "the results database as a file",
    "cache": "the response cache: what lies in it, and taking things out of it",
    "questions": "question sets of the quality profile",
    "usecase": "use-case folders: begin one, check it, look at it",
    "judge": "judges: hold them against people, and see which of them count",
    "baseline": "accepted runs that later ones are compared with: bless, list, show, diff, remove",
    "ci": "what a run has to tell in continuous integration: summary, comment, annotations",
    "prompt": "the prompts of use cases: what they ask, asked before, and what came of it",
}


class _Parser(argparse.ArgumentParser):
    """Wrong arguments are a UsageError like every other mistake of the caller."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"`{self.prog} --help`")


def perform(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status.

    Raises:
        UsageError: there is no such verb, or its arguments are wrong.
    """
    words = with_truth_values(words)
    like_run = next((verb for verb in LIKE_RUN if tuple(words[: len(verb)]) == verb), ())
    if like_run and not {"-h", "--help"} & set(words):
        return _target(LIKE_RUN[like_run])(words[len(like_run) :])
    _check_verb(words)
    arguments, unknown = parser().parse_known_args(words)
    if unknown:
        raise _unknown_argument(arguments.verb, unknown[0])
    for name in arguments.verb.settings:
        if (text := getattr(arguments, BY_NAME[name].ini)) is not None:
            check(BY_NAME[name], text)
    return _target(arguments.verb.target)(arguments)


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs, from `VERBS`."""
    top = _Parser(prog="llmbench", description=DESCRIPTION, allow_abbrev=False)
    top.add_argument("-V", "--version", action="version", version=f"llmbench {_version()}", help="print the version")
    groups: dict[str, Any] = {"": top.add_subparsers(metavar="VERB", required=True)}
    for verb in VERBS:
        name = verb.words[0] if len(verb.words) > 1 else ""
        if name not in groups:
            about = GROUPS[name]
            group = groups[""].add_parser(name, help=about, description=about, allow_abbrev=False)
            groups[name] = group.add_subparsers(metavar="VERB", required=True)
        _add(verb, groups[name])
    return top


def with_truth_values(words: Sequence[str]) -> list[str]:
    """`--offline` alone means `--offline=true`; pytest's options always take a value. A verb's own arguments do not."""
    own = {
        name
        for verb in VERBS
        if tuple(words[: len(verb.words)]) == verb.words
        for a in verb.arguments
        for name in a.names
    }
    flags = {flag for o in OPTIONS if o.parse is TRUTH for flag in (o.flag, o.short_flag)} - own
    return [
        f"{word}=true" if word in flags and not any(map(_is_truth, words[place + 1 : place + 2])) else word
        for place, word in enumerate(words)
    ]


def _is_truth(word: str) -> bool:
    try:
        TRUTH(word)
    except ValueError:
        return False
    return True


def _check_verb(words: Sequence[str]) -> None:
    """Offer near names for a wrong verb; argparse lists them all, quoted, without a word on which was meant."""
    given = tuple(word for word in words[:2] if not word.startswith("-"))
    known = {verb.words[:depth] for verb in VERBS for depth in (1, 2)} | {()}
    for depth in range(1, len(given) + 1):
        if given[:depth] in known or given[: depth - 1] in {verb.words for verb in VERBS}:
            continue
        names = sorted({verb[depth - 1] for verb in known if len(verb) == depth and verb[:-1] == given[: depth - 1]})
        raise UsageError(
            f"there is no `llmbench {' '.join(given[:depth])}`{did_you_mean(given[depth - 1], names)}",
            hint=f"verbs: {', '.join(names)}",
        )


def _unknown_argument(verb: Verb, word: str) -> UsageError:
    flags = [name for argument in verb.arguments for name in argument.names if name.startswith("--")]
    flags += [BY_NAME[name].short_flag for name in verb.settings]
    near = did_you_mean(word.partition("=")[0], flags) if word.startswith("-") else ""
    return UsageError(f"`llmbench {verb.name}` does not take {word!r}{near}", hint=f"`llmbench {verb.name} --help`")


def _add(verb: Verb, group: Any) -> None:
    leaf = group.add_parser(verb.words[-1], help=verb.help, description=verb.help, allow_abbrev=False)
    leaf.set_defaults(verb=verb)
    for argument in verb.arguments:
        leaf.add_argument(*argument.names, help=argument.help, **argument.details)
    for name in verb.settings:
        _add_setting(BY_NAME[name], leaf)


def _add_setting(option: Option, leaf: argparse.ArgumentParser) -> None:
    default = f" (default: {option.default_text})" if option.default_text else ""
    text = option.help.replace("%", "%%") + default
    leaf.add_argument(option.short_flag, dest=option.ini, metavar=option.metavar, help=text)


def _target(name: str) -> Callable[[Any], int]:
    module, _, function = name.partition(":")
    target: Callable[[Any], int] = getattr(import_module(f"pytest_llmbench.cli.{module}"), function)
    return target


def _version() -> str:
    from pytest_llmbench import __version__  # noqa: PLC0415  the package's root belongs to users, not to this module

    return __version__
