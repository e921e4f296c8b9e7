"""How long a context may be, and what it should need in memory, before it is tried."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.bench import Stand
from pytest_llmbench.errors import WireError
from pytest_llmbench.models.gguf_split import read_model
from pytest_llmbench.records import Label
from pytest_llmbench.servers import engines


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest context of a model as it is served."""

    tokens: int | None
    """None where nobody tells it: then it is found by trying."""
    why: str = ""

    def refuses(self, size: int) -> str:
        """Why a context of `size` tokens is not tried; empty where it is."""
        return self.why if self.tokens is not None and size > self.tokens else ""


def longest(stand: Stand) -> Limit:
    """What the model was trained for; of a server that is not ours, what it gives to one request.

    Raises:
        ModelFileError: the file of a model of ours cannot be read.
    """
    if stand.spec is not None:
        tokens = read_model(stand.spec.model.path).context_length
        return Limit(tokens, f"the model was trained for contexts of {tokens} tokens")
    tokens = _given(stand)
    return Limit(tokens, f"the server gives each request {tokens} tokens")


def no_chat(stand: Stand, so: str = "its times mean what they say, its recall says little") -> str:
    """What is to be said of a model of ours whose file has no chat template; empty where it has one.

    Args:
        stand: of the model.
        so: what that means for what is measured.
    """
    if stand.spec is None or read_model(stand.spec.model.path).has_chat_template:
        return ""
    return f"the model's file has no chat template, so it is likely not trained to answer: {so}"


def expected_memory(stand: Stand) -> dict[str, Label]:
    """What our server should need in all and for its KV caches, by the formula; empty where that cannot be told."""
    if stand.spec is None:
        return {}
    expected = engines.estimate(stand.spec, stand.server.engine)
    if expected.total_bytes is None or expected.kv_bytes is None:
        return {}
    return {"memory_estimate_bytes": expected.total_bytes, "kv_estimate_bytes": expected.kv_bytes}


def _given(stand: Stand) -> int | None:
    api = stand.api()
    if api is None:
        return None
    try:
        settings = api.props().get("default_generation_settings")
    except WireError:  # a proxy may pass chats and tokens on and keep the rest back
        return None
    tokens = settings.get("n_ctx") if isinstance(settings, dict) else None
    return tokens if isinstance(tokens, int) and tokens > 0 else None
