"""The verbs of continuous integration; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.values import at_least_one
from pytest_llmbench.cli.verb import RESULT_SETTINGS, ROOTDIR, Argument, Verb

_RUN = Argument(
    ("run",),
    "its id, the beginning of it, or last (default: last)",
    {"metavar": "RUN", "nargs": "?", "default": "last"},
)
_SINCE = Argument(
    ("--since",),
    "there is no run where it began before this moment (2026-11-21T04:16:44Z): it is another session's",
    {"metavar": "MOMENT", "default": ""},
)
_NAME = Argument(("--name",), "the heading, and what tells the comments of several jobs apart", {"default": "llmbench"})
_URL = Argument(
    ("--report-url",), "where the report is to be had (default: the page of the job)", {"metavar": "URL", "default": ""}
)

CI_VERBS: tuple[Verb, ...] = (
    Verb(
        ("ci", "summary"),
        "append verdict, gates and the whole report to the job's summary ($GITHUB_STEP_SUMMARY), else print it",
        "ci:summary",
        (_RUN, _SINCE, _NAME, _URL, ROOTDIR),
        RESULT_SETTINGS,
    ),
    Verb(
        ("ci", "comment"),
        "keep one comment of the pull request up to date: verdict, gates, what was not right; token: $GITHUB_TOKEN",
        "ci:comment",
        (
            _RUN,
            _SINCE,
            _NAME,
            _URL,
            Argument(
                ("--pull",),
                "the number of the pull request (default: the event's)",
                {"metavar": "N", "type": at_least_one},
            ),
            Argument(
                ("--from",),
                "take the run from this report.json, or the one in this folder, which may be a stranger's",
                {"metavar": "PATH", "default": ""},
            ),
            Argument(
                ("--author",),
                "whose comments are ours (default: github-actions[bot])",
                {"metavar": "LOGIN", "default": "github-actions[bot]"},
            ),
            Argument(("--print",), "print the comment, and send nothing", {"action": "store_true"}),
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
    Verb(
        ("ci", "annotate"),
        "print workflow commands that mark failed gates, samples and tests in the files of the pull request",
        "ci:annotate",
        (_RUN, _SINCE, ROOTDIR),
        RESULT_SETTINGS,
    ),
)
