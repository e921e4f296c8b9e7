"""Which counter there is for a model, and what a whole conversation counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from pytest_llmbench import http
from pytest_llmbench.asker.tokens import OF_MESSAGE, OF_REQUEST
from pytest_llmbench.chunking import vocabulary
from pytest_llmbench.chunking.counters import Characters, Counter, OfFile, OfServer, OfTiktoken, OfVllm
from pytest_llmbench.chunking.shapes import Count
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.request import Endpoint, Message
from pytest_llmbench.clients.vllm_api import VllmApi
from pytest_llmbench.errors import InfraError, MissingExtraError, UsageError
from pytest_llmbench.records import Target

TOKENS_A_MESSAGE = 4
"""Assumed of what a chat's template puts around one."""
TOKENS_A_FILE = 1_000
"""Assumed of a picture, a sound or a page: providers count 85 to some thousands."""
_DEADLINES = http.Deadlines(connect_s=5, ttft_s=30, idle_s=30, total_s=60)
_VOCABULARY = "tiktoken:"
_CHARACTERS = "characters"
_OPENAI = frozenset({"openai", "azure"})


def counter_for(
    model: Target | None = None,
    *,
    server: Callable[[], Endpoint] | None = None,
    tokenizer: str = "",
    offline: bool = False,
) -> Counter:
    """Who counts a model's tokens: what is declared, else the model's own server, tiktoken for OpenAI's models, and
    characters where there is nobody.

    Args:
        model: of a provider; None for one of this machine.
        server: where a model of this machine is asked.
        tokenizer: as in `Chunking.tokenizer`.
        offline: fetch no vocabulary.

    Raises:
        UsageError: what is declared is no tokenizer, or cannot be had.
    """
    if tokenizer:
        return _declared(tokenizer, offline=offline)
    if server is not None and (counter := _of_server(server)) is not None:
        return counter
    if model is not None and model.provider in _OPENAI:
        return _of_openai(model.model_id.rpartition("/")[2], offline=offline)
    return Characters()


def count_tokens(text: str, counter: Counter) -> Count:
    """How many tokens a text has."""
    return counter.count(text)


def count_messages(messages: Sequence[Message], counter: Counter) -> Count:
    """How many prompt tokens a conversation has: exact where a server applies its own template, and all is text."""
    if isinstance(counter, OfServer | OfVllm) and all(isinstance(each.get("content"), str) for each in messages):
        return Count(counter.api.chat_tokens(messages), exact=True, by=counter.by)
    texts, files = _content(messages)
    around = TOKENS_A_MESSAGE * len(messages) + TOKENS_A_FILE * files
    by = f"{counter.by}, and {TOKENS_A_MESSAGE} a message"
    return Count(sum(counter.count(text).tokens for text in texts) + around, exact=False, by=by)


def most_tokens(messages: Sequence[Message]) -> int:
    """More than a conversation can have, without counting: no tokenizer makes more tokens of a text than it has bytes.

    See `asker.tokens`; files count as in `count_messages`.
    """
    texts, files = _content(messages)
    return OF_REQUEST + OF_MESSAGE * len(messages) + TOKENS_A_FILE * files + sum(map(_bytes, texts))


def _content(messages: Sequence[Message]) -> tuple[list[str], int]:
    """The texts of a conversation, and how many files are among its parts."""
    texts: list[str] = []
    files = 0
    for message in messages:
        content = message.get("content")
        for part in [{"text": content}] if isinstance(content, str) else content or ():
            text = part.get("text") if isinstance(part, Mapping) else None
            texts += [text] if isinstance(text, str) else []
            files += not isinstance(text, str)
    return texts, files


def _bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    return max(len(form.encode("utf-8", "surrogatepass")) for form in (text, normalize("NFKC", text)))


def check_tokenizer(said: str) -> None:
    """See that a tokenizer is declared in a form that is known; nothing is read or fetched.

    Raises:
        UsageError: it is not.
    """
    if said.startswith(_VOCABULARY):
        vocabulary.check_name(said.removeprefix(_VOCABULARY))
    elif said != _CHARACTERS and not said.endswith(".json"):
        raise UsageError(
            f"{said!r} is no tokenizer", hint=f"a `tokenizer.json`, {_VOCABULARY}o200k_base, or `{_CHARACTERS}`"
        )


def _declared(tokenizer: str, *, offline: bool) -> Counter:
    check_tokenizer(tokenizer)
    if tokenizer == _CHARACTERS:
        return Characters()
    if tokenizer.endswith(".json"):
        return OfFile(Path(tokenizer))
    try:
        return OfTiktoken(vocabulary.encoding(tokenizer.removeprefix(_VOCABULARY), offline=offline))
    except InfraError as error:
        raise UsageError(f"{tokenizer!r} cannot be had: {error.message}", hint=f"`{_CHARACTERS}` estimates") from None


def _of_server(server: Callable[[], Endpoint]) -> Counter | None:
    if (llama := LlamaApi(server, _DEADLINES)).answers():
        return OfServer(llama)
    vllm = VllmApi(server, _DEADLINES)
    return OfVllm(vllm) if vllm.answers() else None


def _of_openai(model_id: str, *, offline: bool) -> Counter:
    """Not declared, so that whatever is missing only makes it an estimate, which says why."""
    try:
        name = vocabulary.name_for(model_id)
        if name is not None:
            return OfTiktoken(vocabulary.encoding(name, offline=offline))
        return Characters()
    except (MissingExtraError, InfraError) as error:
        return Characters(error.message)
