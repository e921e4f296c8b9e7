"""The verbs of models; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.values import at_least_one
from pytest_llmbench.cli.verb import JSON, MODEL, MODEL_SETTINGS, ROOTDIR, YES, Argument, Verb

MODEL_VERBS: tuple[Verb, ...] = (
    Verb(
        ("models", "list"),
        "list known models: local ones, or with --remote those of providers with their prices",
        "models:list_models",
        (
            Argument(
                ("--remote",), "models of providers, from their catalogues and our table", {"action": "store_true"}
            ),
            Argument(
                ("--filter",),
                "only names that match this glob or hold this text, and with image, audio, tools, json, reasoning "
                "or free what takes or is that; may be given more than once",
                {"metavar": "WORD", "action": "append", "default": []},
            ),
            JSON,
            ROOTDIR,
        ),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "pull"),
        "fetch models into the cache",
        "models:pull",
        (
            Argument(("names",), "the models: name:QUANT", {"metavar": "MODEL", "nargs": "+"}),
            Argument(
                ("--jobs",),
                "how many at once (default: 4)",
                {"metavar": "N", "type": at_least_one, "default": 4},
            ),
            Argument(
                ("--update",),
                "take what the sources have now, and pin that in llmbench.lock",
                {"action": "store_true"},
            ),
            ROOTDIR,
        ),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "show"),
        "print where a model's file is, what its header says and what memory it will need",
        "models:show",
        (MODEL, JSON, ROOTDIR),
        (*MODEL_SETTINGS, "context", "gpu_layers", "engine", "llama_server", "results_dir"),
    ),
    Verb(
        ("models", "quantize"),
        "make a smaller file of a model",
        "models:quantize",
        (MODEL, Argument(("quant",), "Q8_0, Q5_0 or Q4_0", {"metavar": "QUANT"}), ROOTDIR),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "scan"),
        "find GGUF files below a folder, and tell which models they are",
        "model_scan:scan_folder",
        (
            Argument(("folder",), "where to look", {"metavar": "DIR"}),
            Argument(("--hash",), "read the files whole, to tell them by sha256", {"action": "store_true"}),
            JSON,
            ROOTDIR,
        ),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "verify"),
        "read models' files whole, and tell whether they are what they were; ends with 1 where one is not",
        "model_files:verify_models",
        (
            Argument(("names",), "the models (default: all that are here)", {"metavar": "MODEL", "nargs": "*"}),
            JSON,
            ROOTDIR,
        ),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "rm"),
        "remove models from the models folder",
        "model_files:remove",
        (Argument(("names",), "the models: name:QUANT", {"metavar": "MODEL", "nargs": "+"}), YES, ROOTDIR),
        MODEL_SETTINGS,
    ),
    Verb(
        ("models", "prune"),
        "remove leftovers from the models folder: half downloads, notes on files that are gone",
        "model_files:prune",
        (
            Argument(("-n", "--dry-run"), "only tell what would be removed", {"action": "store_true"}),
            Argument(("--all",), "models that nothing names here, too", {"action": "store_true"}),
            Argument(
                ("--older-than",),
                "only what was not written to for so long: 12h, 30d, 4w (default: 0h)",
                {"metavar": "AGE", "default": "0h"},
            ),
            YES,
            ROOTDIR,
        ),
        MODEL_SETTINGS,
    ),
)
