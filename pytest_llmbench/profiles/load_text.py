"""Prose of so many tokens, for the requests of a trace, which tells their lengths alone."""

from __future__ import annotations

from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.profiles import long_context_prose
from pytest_llmbench.profiles.long_context_text import CHARACTERS_A_TOKEN

_SAMPLE_WORDS = 400
_PREFIX = "[0123abcd] "
"""As long as the fresh prefix that every prompt gets."""


class Texts:
    """Prompts of lengths in tokens, right to a few in a hundred.

    Args:
        api: counts tokens; None: they are estimated from characters.
        seed: of the prose.
    """

    def __init__(self, api: LlamaApi | None, seed: int) -> None:
        self._seed = seed
        self._characters_a_token = CHARACTERS_A_TOKEN
        self._around = 0
        """Tokens of the template and the prefix, without any text."""
        if api is not None:
            sample = "".join(long_context_prose.words(seed, _SAMPLE_WORDS)[0])
            self._around = api.chat_tokens([{"role": "user", "content": _PREFIX}])
            self._characters_a_token = len(sample) / len(api.tokenize(sample))

    def of(self, number: int, tokens: int) -> str:
        """A prompt of about so many tokens, template and prefix included; at least one word.

        Args:
            number: of the request: each gets another text.
            tokens: of the whole prompt.
        """
        characters = max(1, tokens - self._around) * self._characters_a_token
        words, _ = long_context_prose.words(self._seed + number, int(characters / 3) + 1)
        kept, length = [words[0]], len(words[0])
        for word in words[1:]:
            if length + len(word) > characters:
                break
            kept.append(word)
            length += len(word)
        return "".join(kept).lstrip()
