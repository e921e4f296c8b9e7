"""What the tests of text validators share: a validator of the table put to a reply."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.registry import VALIDATORS
from pytest_llmbench.validators.scorer import Scorer, Where


def scorer(name: str, argument: Any = None) -> Scorer:
    """A validator with its argument, as a use case's first."""
    return VALIDATORS[name].parse(argument, Where(_located, ("validators", 0)))


def scored(
    name: str, answer: str, expected: Any = None, argument: Any = None, *, defects: bool = False, **material: Any
) -> Any:
    """The score of a reply, or what is wrong with the expected answer."""
    made = scorer(name, argument)
    if defects:
        return made.defects(Material(expected=expected, **material))
    return made.score(Material(reply_text=answer, expected=expected, **material))


def hostile_texts(size: int) -> Mapping[str, str]:
    """Texts of some size that make careless patterns slow, and characters that make careless code raise."""
    noise = random.Random(6)
    return {
        "empty": "",
        "spaces": " " * size,
        "one letter": "a" * size,
        "words": "the cat sat on the mat. " * (size // 24),
        "capitals": "Anna Schmidt " * (size // 13),
        "digits": "1" * size,
        "numbers": "12,345.67 " * (size // 10),
        "dots": "1." * (size // 2),
        "commas": "1," * (size // 2),
        "colons": "1:" * (size // 2),
        "times": "00:12 - 00:15\n" * (size // 14),
        "dates": "12 March 2026, " * (size // 15),
        "half dates": "12 " * (size // 3),
        "quotes": '"' * size,
        "quoted": '"the cat" ' * (size // 10),
        "open quotes": "“" * size,
        "brackets": "[" * size,
        "citations": "[1] " * (size // 4),
        "at signs": "a@" * (size // 2),
        "mail": "a.b@example.com " * (size // 16),
        "dashes": "-" * size,
        "plus": "+1 " * (size // 3),
        "lines": "\n" * size,
        "marks": "e" + "\u0301" * size,
        "controls": "\x00\x1b[31m\x7f\u202e" * (size // 8),
        "surrogates": "a\ud800 " * (size // 3),
        "scripts": "中文字符مرحباкошка" * (size // 16),
        "emoji": "👩‍👩‍👧‍👦" * (size // 7),
        "braces": "{" * size,
        "fences": "``` a\n" * (size // 6),
        "open fences": "```\n" * (size // 4),
        "noise": "".join(chr(noise.choice((noise.randrange(32, 127), noise.randrange(0xD7FF)))) for _ in range(size)),
    }


def _located(path: KeyPath, message: str) -> ConfigError:
    return ConfigError(f"{'.'.join(map(str, path))}: {message}")
