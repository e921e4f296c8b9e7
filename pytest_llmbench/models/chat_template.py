"""What a model file's chat templates reach for.

A template comes from whoever made the file. An engine that renders it with a full Jinja in Python runs it as code
(CVE-2024-34359). We never render one; llama.cpp's own small interpreter knows nothing of Python's internals. A file
whose template reaches for them anyway was made to attack, and is named so.
"""

from __future__ import annotations

import re

from pytest_llmbench.display import display_safe
from pytest_llmbench.models.gguf import GgufHeader

TEMPLATE_KEY = "tokenizer.chat_template"
"""The key of the template; variants (`tokenizer.chat_template.tool_use`) begin with it."""

_REACHES = re.compile(
    r"__(?:class|bases?|mro|subclasses|globals|builtins|import|init|new|call|dict|code|closure|func|self|module|loader"
    r"|spec|reduce(?:_ex)?|getattr(?:ibute)?|getitem|wrapped|doc)__"
    r"|\b(?:gi_frame|cr_frame|f_globals|f_builtins|f_back|tb_frame|func_globals|mro\(\))"
    # Ways to write an underscore or an attribute so that it does not look like one.
    r"|\\x5f|\\u005f|\\137|\|\s*attr\b|\b(?:lipsum|cycler|joiner)\s*\."
    r"|\b(?:subprocess|popen|os\.system|eval\s*\(|exec\s*\()"
    r"|\{%-?\s*(?:import|include|extends|from)\b",
    re.IGNORECASE,
)
_MOST = 5


def suspicions(header: GgufHeader) -> tuple[str, ...]:
    """What the templates of a file have in them that no chat needs, safe to show; usually nothing.

    Returns:
        Up to five different findings, in the order in which they stand there.
    """
    templates = (text for key, text in header.metadata.items() if key.startswith(TEMPLATE_KEY))
    texts = (text for value in templates for text in (value if isinstance(value, tuple) else (value,)))
    found: dict[str, None] = {}
    for match in (match for text in texts if isinstance(text, str) for match in _REACHES.finditer(text)):
        found[display_safe(match.group(), keep="")] = None
        if len(found) == _MOST:
            break
    return tuple(found)
