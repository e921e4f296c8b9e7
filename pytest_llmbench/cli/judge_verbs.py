"""The verbs of judges; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.verb import JSON, ROOTDIR, Argument, Verb
from pytest_llmbench.options import OPTIONS

JUDGE_VERBS: tuple[Verb, ...] = (
    Verb(
        ("judge", "calibrate"),
        "hold judges against labels of people and keep what that shows: *.calibration.yaml files, or folders with "
        "some; takes what `run` takes",
        "judges:calibrate",
        (
            Argument(
                ("arguments",),
                "calibration files or folders, and options of pytest",
                {"metavar": "PATHS", "nargs": "*"},
            ),
        ),
        tuple(option.name for option in OPTIONS if option.name not in {"keep_calibrations", "rejudge"}),
    ),
    Verb(
        ("judge", "list"),
        "print the calibrations of judges that are kept, and which judges count",
        "judges:list_",
        (JSON, ROOTDIR),
        ("config", "calibrations"),
    ),
    Verb(
        ("judge", "show"),
        "print all that is kept of a judge",
        "judges:show",
        (Argument(("judge",), "the model's name", {"metavar": "JUDGE"}), JSON, ROOTDIR),
        ("config", "calibrations"),
    ),
)
