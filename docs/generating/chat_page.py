"""The reference page of chats: commands, records, files."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.chat.commands import COMMANDS
from pytest_llmbench.chat.exporting import FORMS
from pytest_llmbench.chat.kept import DATABASE


def chat_page() -> str:
    """What can be typed, and what comes out."""
    commands = table(("command", ""), [(f"`{command.usage}`", command.help) for command in COMMANDS])
    forms = table(
        ("file", "holds"), [(f"`{ending}`", (write.__doc__ or "").rstrip(".")) for ending, write in FORMS.items()]
    )
    return f"{_INTRO}{commands}{_KEYS}{_RECORDS}{_EXPORTS}{forms}{_KEPT}"


_INTRO = """# Chats

How to use them: [Chat with models](../how-to/chat-with-models.md). The flags: [`llmbench chat`](cli.md#llmbench-chat).

## Commands

Within a conversation a line that begins with a slash and a word is a command; the slash alone lists them. A question
that begins so is written with two slashes.

"""
_KEYS = """
| key | |
| --- | --- |
| Enter | asks |
| Alt-Enter, or Esc and then Enter | begins a new line; what is pasted keeps its lines |
| ↑ ↓ | what was typed before |
| Tab | completes a command |
| Ctrl-C | stops an answer, or the loading of its model: what had come stays said; throws away what was typed |
| Ctrl-D | leaves |
| Ctrl-Z | suspends, as elsewhere: `fg` goes on |

"""
_RECORDS = """## JSON records

One object a line for each answer, in ASCII. `state` is `answered`, `cut` or `failed`.

| field | |
| --- | --- |
| `model` | as it was named; a route stays a route |
| `session` | the id of the chat |
| `text` | the answer; of a failure what had come of it |
| `error` | null, or `category` (an [error category](exit-codes.md), `over_budget`, `usage`), `message`, `hint` |
| `answered_by`, `served_model` | who answered, as you name it and as the provider does |
| `reasoning`, `tool_calls`, `finish_reason` | as the model gave them |
| `usage`, `timing`, `cost` | tokens, times in seconds, US dollars as decimal text with their source |
| `attempts` | how many requests it took |
| `is_cached`, `alike` | whether it came from the response cache, and of which question alike |
| `reply_id` | its row in the database |

The fields from `answered_by` on are those of answers alone.

"""
_EXPORTS = """## Files of `/export`

"""
_KEPT = f"""
## What is kept

Chats lie in `{DATABASE}` in the results folder: the format of results.db, a run for each chat, readable for you alone.
No history, baseline or report of runs looks at them. With `keep_prompts: false` they hold models, tokens, times and
costs, and no word of what was said. What was typed lies in `chat-history` in your state folder, without the keys that
the process knows, at most 1 MB of it; `--no-history` and `keep_prompts: false` leave it alone.

While a chat is open, its process holds `chats/ID.lock` in the results folder, and nobody else goes on with the chat or
forgets it; that ends with the process, however it ends.
"""
