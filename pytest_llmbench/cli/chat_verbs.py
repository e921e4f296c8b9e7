"""The verb that talks to models; a part of the table in `verbs.py`."""

from __future__ import annotations

from pytest_llmbench.cli.values import at_least_one, temperature, whole_number
from pytest_llmbench.cli.verb import RESULT_SETTINGS, ROOTDIR, Argument, Verb

_SET = {"action": "store_true"}

_ASKING = (
    "max_cost",
    "cache",
    "attempts",
    "retry_budget",
    "outage_patience_s",
    "connect_timeout_s",
    "ttft_timeout_s",
    "idle_timeout_s",
    "total_timeout_s",
    "request_log",
    "log_console",
    "traces",
    "keep_prompts",
)
_SERVERS = ("engine", "llama_server", "threads", "context", "gpu_layers", "load_timeout_s", "lock_timeout_s")

_CHAT = Verb(
    ("chat",),
    "talk to models: a question as an argument, by a pipe, or in turns on a terminal; through the same client, cache, "
    "routes, log and budget as evaluations. Ends with 11 where a model failed, with 12 where the budget is spent",
    "chat:chat",
    (
        Argument(
            ("prompt",),
            "what is asked; what comes by a pipe follows it (default: a conversation, on a terminal)",
            {"metavar": "PROMPT", "nargs": "*"},
        ),
        Argument(
            ("-m", "--model"),
            "the model, or several side by side, comma separated: name:QUANT, provider/model, route/NAME (default: the "
            "first of llmbench.yaml, else one that is on this disk, else demo/facts)",
            {"metavar": "MODELS", "default": ""},
        ),
        Argument(("-s", "--system"), "the system prompt; @FILE reads it", {"metavar": "TEXT"}),
        Argument(
            ("--stream",), "show the answer as it comes, by a pipe too; then it is not tried again by itself", _SET
        ),
        Argument(("--no-stream",), "ask for the answer in one piece", _SET),
        Argument(
            ("-t", "--temperature"),
            "how free the answer is (default: as the provider has it)",
            {"metavar": "X", "type": temperature},
        ),
        Argument(("--max-tokens",), "the longest answer", {"metavar": "N", "type": at_least_one}),
        Argument(("--seed",), "for models that take one", {"metavar": "N", "type": whole_number}),
        Argument(
            ("--image",),
            "a picture, sound or PDF that is shown with the question; may be given more than once",
            {"metavar": "FILE", "action": "append", "default": []},
        ),
        Argument(
            ("--session",),
            "go on with the chat of this name or id, or begin one of this name",
            {"metavar": "NAME", "default": ""},
        ),
        Argument(("-c", "--continue"), "go on with the last chat", {**_SET, "dest": "going_on"}),
        Argument(("-i", "--interactive"), "go on in turns after the question", _SET),
        Argument(("--list",), "list the chats that are kept", _SET),
        Argument(
            ("--forget",),
            "remove a chat: its name, id, or last",
            {"metavar": "SESSION", "default": "", "dest": "forgotten"},
        ),
        Argument(("--no-history",), "neither read nor keep what was typed, for the arrow keys", _SET),
        Argument(("--json",), "print a JSON record a line for each answer", _SET),
        ROOTDIR,
    ),
    (*RESULT_SETTINGS, "models_dir", "offline", *_ASKING, *_SERVERS),
)

CHAT_VERBS: tuple[Verb, ...] = (_CHAT,)
