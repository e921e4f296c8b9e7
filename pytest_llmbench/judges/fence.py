"""Texts of others put before a judge so that they stay data.

Two ways lead out of a text. One is to close the fence around it: that takes the nonce, which is a hash over the text
itself. The other is below the words: local servers read `<|im_end|>` in a message as the end of that message, so that
a reply could go on as the system or as the judge. Such marks get a space and are words again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from itertools import count

NONCE_LENGTH = 16
"""Hex digits."""

_CONTROL_MARK = re.compile(
    r"""(?<=<)(?=
        /? (?: [|｜]                                      # <|im_end|>, <|eot_id|>, <|endoftext|>, DeepSeek's wide bar
        | \w+\|> | (?:bos|eos|s|pad|unk|mask|cls|sep|sop)> | seed:
        | (?:start|end)_of_(?:turn|text|image|audio|utterance)
        | (?:think|thinking|thought|reasoning|analysis|tool_call|tool_response|tool_output|unused\d+)>
        | (?:image|video|audio|image_soft_token)>
        | (?:bos|eos|eop|pad|unk|mask)_token> | eo[ahp]> | reserved_\d+> | (?:tokens_unused|extra_id)_\d+>
        | __ | </?SYS>>
        ))
      | (?<=\[)(?=
        /? (?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_[A-Z]+|THINK|IMG[A-Z_]*|gMASK|UNUSED_TOKEN_\d+)\]
        | \| | e~\[
        )
      | (?<=\])(?= ~!?b )
    """,
    re.VERBOSE | re.IGNORECASE,
)


def shown(text: str) -> str:
    """The text as a judge sees it: every word of it, control marks of chat templates broken by a space.

    A lone surrogate is no text to a server; it becomes U+FFFD as in the database, so that a resumed run asks the same.
    """
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL_MARK.sub(" ", text)


def nonce_of(texts: Sequence[str]) -> str:
    """A word of 16 hex digits that stands in none of the texts, the same for the same texts.

    It depends on each of them, so that none can be written to hold it.
    """
    everything = "\n".join(texts).casefold()
    return next(nonce for nonce in _candidates(texts) if nonce not in everything)


def fenced(name: str, text: str, nonce: str) -> str:
    """A text as `shown`, between its two marker lines."""
    opening, closing = marks(name, nonce)
    return f"{opening}\n{shown(text)}\n{closing}"


def marks(name: str, nonce: str) -> tuple[str, str]:
    """The lines before and after a text."""
    return f"[BEGIN {name} {nonce}]", f"[END {name} {nonce}]"


def _candidates(texts: Sequence[str]) -> Iterable[str]:
    content = json.dumps(texts, ensure_ascii=True)
    return (hashlib.sha256(f"{turn}:{content}".encode("ascii")).hexdigest()[:NONCE_LENGTH] for turn in count())
