"""The verbs of use cases and their prompts; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.verb import JSON, RESULT_SETTINGS, ROOTDIR, USECASE, Argument, Verb

USE_CASE_VERBS: tuple[Verb, ...] = (
    Verb(
        ("usecase", "new"),
        "begin a use case: a folder with a page and a few samples that run as they are",
        "usecases:new",
        (Argument(("folder",), "where to", {"metavar": "FOLDER"}),),
    ),
    Verb(
        ("usecase", "check"),
        "read use cases and their data, lint expected answers and stories; asks nothing, ends with 1 on a problem",
        "usecases:check",
        (
            Argument(
                ("folders",),
                "use cases, or folders that hold some (default: here)",
                {"metavar": "FOLDER", "nargs": "*", "default": ["."]},
            ),
            JSON,
        ),
    ),
    Verb(
        ("usecase", "show"),
        "print what a use case says, its samples, and with --id what one of them is asked",
        "usecases:show",
        (
            USECASE,
            Argument(
                ("--id",), "print this sample: what is asked and what is expected", {"metavar": "ID", "default": ""}
            ),
            Argument(("--model",), "as it is asked (default: as any)", {"metavar": "MODEL", "default": ""}),
            Argument(("--all",), "list all samples, not the first 20", {"action": "store_true"}),
            JSON,
        ),
    ),
    Verb(("usecase", "schema"), "print the JSON Schema of the front matter of USE-CASE.md", "usecases:schema"),
    Verb(
        ("prompt", "test"),
        "check that every sample fills the prompt, and print what one is asked; with --ask compare the variants",
        "prompts:test",
        (
            USECASE,
            Argument(("--id",), "the sample to show (default: the first)", {"metavar": "ID", "default": ""}),
            Argument(("--model",), "as it is asked (default: as any)", {"metavar": "MODEL", "default": ""}),
            Argument(("--variant",), "the variant to show", {"metavar": "NAME", "default": ""}),
            Argument(("--ask",), "ask the use case's models by each variant", {"action": "store_true"}),
            JSON,
        ),
        ("limit",),
    ),
    Verb(
        ("prompt", "history"),
        "print the versions of a use case's prompt, and how models did with each",
        "prompts:history",
        (USECASE, JSON, ROOTDIR),
        RESULT_SETTINGS,
    ),
    Verb(
        ("prompt", "diff"),
        "print what changed in a use case's prompt",
        "prompts:diff",
        (
            USECASE,
            Argument(("old",), "a version (default: the one before)", {"metavar": "OLD", "nargs": "?", "default": ""}),
            Argument(("new",), "a version (default: as it is now)", {"metavar": "NEW", "nargs": "?", "default": ""}),
            ROOTDIR,
        ),
        RESULT_SETTINGS,
    ),
)
