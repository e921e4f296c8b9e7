"""What may be said in two ways without asking for something else: greetings, requests, contractions, spelling."""

from __future__ import annotations

import re

_REQUESTED = (
    "tell|explain|give|show|write|list|translate|summari[sz]e|recommend|suggest|describe|name|check|proofread|correct|fix|"
    "compare|create|draft|calculate|define|rewrite|improve|answer"
)
_GREETING = re.compile(r"^(?:hi|hello|hey)(?: there)? ?[,!.]\s*", re.IGNORECASE)
_PLEASE = re.compile(r"^(?:please|kindly|bitte|por favor|s'il (?:te|vous) pla[iî]t),? +", re.IGNORECASE)
_REQUEST = re.compile(
    rf"^(?:(?:can|could) you (?:please |kindly )?|(?:will|would) you please )(?=(?:{_REQUESTED})\b)", re.IGNORECASE
)
_INDIRECT = re.compile(
    r"^(?:tell me|i was wondering|i wonder) (?=(?:how|why|when|where|who|what|which)\b)", re.IGNORECASE
)
_THANKS = re.compile(
    r"""(?:(?<=[.!?])\s*|^([^,]*),\s)(?:
        please|thanks|thank\ you|many\ thanks|bitte|danke|merci|gracias|por\ favor|s'il\ (?:te|vous)\ pla[iî]t
        )(?:\ (?:very\ much|a\ lot|so\ much|in\ advance))?[\s.!?]*$""",
    re.VERBOSE | re.IGNORECASE,
)
"""After the end of a sentence, or after the only comma: in a list it may be what is asked about."""
_ABOUT_WORDS = re.compile(
    r"\b(?:say|says|said|mean|means|meaning|translat\w*|languages?|words?|phrases?|greet\w*|this|that)\b", re.IGNORECASE
)
"""Then a greeting may be what is asked about."""
_SPACES = re.compile(r"[^\S\n]+")
_ONE_FORM = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("−–—‒‐‑", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
        "\r": None,
    }
)
_REWRITTEN = tuple(
    (re.compile(rf"{pattern}(?!\w)", re.IGNORECASE), plain)
    for pattern, plain in (
        (r"\bcan(?:'t|not)", "can not"),
        (r"\bwon't", "will not"),
        (r"\bshan't", "shall not"),
        (r"(?<=\w)n't", " not"),
        (r"(?<=\bI)'m", " am"),
        (r"(?<=\w)'re", " are"),
        (r"(?<=\w)'ve", " have"),
        (r"(?<=\w)'ll", " will"),
        (r"\b(what|where|when|who|how|that|there|here|it|he|she)'s", r"\1 is"),
        (r"\bhow (?:do|can|could) i", "how i"),
        (r"\bhow to", "how i"),
    )
)
_SPELLINGS = (
    (re.compile(r"\b(\w{3,})is(e|es|ed|ing|ation|ations|er|ers)\b"), r"\1iz\2"),
    (re.compile(r"\b(col|fav|hon|lab|neighb|behavi|flav|hum|rum|harb)our"), r"\1or"),
    (re.compile(r"\b(cent|lit|theat|fib|met)re(s?)\b"), r"\1er\2"),
)


def plainly_asked(text: str) -> str:
    """A prompt without what makes it polite, its contractions written out, its spelling American.

    Only between the quotes and in code would that change what is asked, so texts with either stay as they are.
    """
    text = text.translate(_ONE_FORM).strip()
    if any(mark in text for mark in ("`", '"', "«")):
        return text
    text = _without_courtesy(_SPACES.sub(" ", text))
    for pattern, plain in (*_REWRITTEN, *_SPELLINGS):
        text = pattern.sub(plain, text)
    return _SPACES.sub(" ", text)


def _without_courtesy(text: str) -> str:
    if not _ABOUT_WORDS.search(text):
        text = _GREETING.sub("", text)
        text = _THANKS.sub(r"\1", text)
    text = _PLEASE.sub("", text)
    if request := _REQUEST.match(text):
        text = text[request.end() :].rstrip("? ")
    return _INDIRECT.sub("", text)
