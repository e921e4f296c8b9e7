"""What a GGUF header tells of a model's attention layers, and the memory their caches take.

The rules are llama.cpp's (b11434): `llama_kv_cache` (src/llama-kv-cache.cpp), `llama_kv_cache_iswa`
(src/llama-kv-cache-iswa.cpp), `llama_hparams` (src/llama-hparams.cpp), `load_swa_pattern` (src/llama-model.cpp and
src/models/*.cpp). Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_llmbench.models.gguf import GgufHeader
from pytest_llmbench.models.gguf_types import TENSOR_TYPE_IDS, TENSOR_TYPES

CELLS_STEP = 256
"""llama.cpp rounds the cells of a cache up to a multiple of this."""

_LAST_TOKENS = 4
"""llama-server processes the last tokens of a prompt by themselves."""
_PATTERNS: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "gemma2": (2, False), "gemma3": (6, False), "gemma3n": (5, False), "gemma-embedding": (6, False),
        "cohere2": (4, False), "cohere2moe": (4, True), "exaone4": (4, False), "exaone-moe": (4, False),
        "olmo2": (4, False), "gpt-oss": (2, False), "plamo3": (8, False), "smallthinker": (4, True),
        "afmoe": (4, False), "mellum": (4, False), "llama4": (4, False),
    }
)  # fmt: skip
"""Architecture → every how manieth layer sees all of the context, and whether that is the first of them (else the
last), for files that do not list it. Sliding windows of other architectures are not used by llama.cpp."""

_LISTED_ONLY = frozenset({"gemma4", "mimo2", "step35", "granite-swa"})
"""Architectures whose files always list their sliding-window layers."""
_WINDOWS: Mapping[str, int] = MappingProxyType({"gemma2": 4096, "exaone4": 4096, "llama4": 8192})
"""The sliding window where the file does not tell one."""
_FIRST_LAYERS_ONLY: Mapping[str, int] = MappingProxyType({"gemma3n": 20})
"""Layers with a cache of their own, where the file does not tell it."""
_OWN_STATES = ("wkv.", "ssm.", "shortconv.", "kda.", "linear_attn.", "recurrent.")
"""Keys of models whose layers keep a state besides a cache, or instead: each family sizes it in its own way."""


class UnknownLayersError(ValueError):
    """The header does not tell how large the caches are; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The cache of one layer."""

    elements: int
    """Of keys and values, for one cell."""
    window: int | None = None
    """Tokens that the layer looks back; None: all."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How the server sizes its caches."""

    context: int
    """Tokens a slot."""
    slots: int = 1
    kv_type: str = "f16"
    batch: int = 512
    """Tokens processed at once (llama.cpp's ubatch)."""
    unified: bool = False
    """All slots share `context * slots` cells, instead of each having its own."""
    swa_full: bool = False
    """Sliding-window layers keep the whole context."""

    @property
    def streams(self) -> int:
        return 1 if self.unified else self.slots

    @property
    def cells(self) -> int:
        """Of a full-attention layer, in one stream."""
        total = self.context * self.slots if self.unified else self.context
        return math.ceil(total / CELLS_STEP) * CELLS_STEP

    @property
    def tokens_at_once(self) -> int:
        return min(self.batch, self.cells * self.streams)

    def window_cells(self, window: int) -> int:
        """Of a sliding-window layer, in one stream: pad256(min(cells, window · sequences of the stream + ubatch))."""
        if self.swa_full:
            return self.cells
        sequences = self.slots if self.unified else 1
        wanted = min(self.cells, window * sequences + self.tokens_at_once)
        return math.ceil(wanted / CELLS_STEP) * CELLS_STEP


def attention_layers(header: GgufHeader) -> list[Layer]:
    """The layers that have a cache of their own.

    Grouped-query attention is in it: KV heads are counted, layer by layer where the file lists them so. Multi-head
    latent attention (`attention.key_length_mla`) stores one compressed key a token and no value.

    Raises:
        UnknownLayersError: the header does not tell enough, or the layers keep states that we have no rule for.
    """
    for prefix in _OWN_STATES:
        if any(key.startswith(f"{header.architecture}.{prefix}") for key in header.metadata):
            raise UnknownLayersError(f"layers of {header.architecture} keep a state of their own ({prefix[:-1]})")
    count = _needed(header, "block_count")
    own = count - (header.number("attention.shared_kv_layers", minimum=0) or 0)
    own = min(own, _FIRST_LAYERS_ONLY.get(header.architecture, own))
    heads, windows = _heads(header, count), _windows(header, count)
    return [Layer(heads[index] * _lengths(header, windows[index]), windows[index]) for index in range(max(own, 0))]


def cache_bytes(layers: list[Layer], rules: CacheRules) -> int | None:
    """Memory of all caches.

        Σ over layers of streams · cells · elements of a cell · bytes of an element

    Returns:
        Bytes; None where the type of the cache is unknown.
    """
    cells_of = {window: rules.cells if window is None else rules.window_cells(window) for window in _seen(layers)}
    return _sized(sum(cells_of[layer.window] * layer.elements for layer in layers) * rules.streams, rules.kv_type)


def checkpoint_bytes(layers: list[Layer], rules: CacheRules) -> int:
    """Memory of the states that a request which fills its slot leaves: what sliding-window layers hold of one window.

    llama-server saves one 4 tokens before the end of a prompt and one a batch earlier, to be able to return there
    (`create_checkpoint` and `checkpoint_offsets`, tools/server/server-context.cpp); models without sliding windows need
    none.
    """
    if rules.swa_full:
        return 0
    ends = [rules.context - _LAST_TOKENS, rules.context - _LAST_TOKENS - rules.batch]
    sliding = [layer for layer in layers if layer.window is not None]
    held = sum(min(layer.window or 0, max(end, 0)) * layer.elements for layer in sliding for end in ends)
    return _sized(held, rules.kv_type) or 0


def masked_cells(layers: list[Layer], rules: CacheRules) -> int:
    """Columns of the attention masks: one mask for the full caches, one for the sliding-window ones."""
    return sum(rules.cells if window is None else rules.window_cells(window) for window in _seen(layers))


def kv_bytes(header: GgufHeader, context: int, slots: int = 1, kv_type: str = "f16") -> int | None:
    """Memory of the KV caches of a server with `context` tokens a slot; None where it cannot be told."""
    try:
        return cache_bytes(attention_layers(header), CacheRules(context, slots, kv_type))
    except UnknownLayersError:
        return None


def _seen(layers: list[Layer]) -> set[int | None]:
    return {layer.window for layer in layers}


def _sized(elements: int, kv_type: str) -> int | None:
    number = TENSOR_TYPE_IDS.get(kv_type.upper())
    if number is None:
        return None
    _, block, block_bytes = TENSOR_TYPES[number]
    return elements * block_bytes // block


def _needed(header: GgufHeader, key: str) -> int:
    if (value := header.number(key)) is None:
        raise UnknownLayersError(f"its header does not tell {key.rpartition('.')[2].replace('_', ' ')}")
    return value


def _heads(header: GgufHeader, layers: int) -> list[int]:
    """KV heads of each layer."""
    told = header.metadata.get(f"{header.architecture}.attention.head_count_kv")
    if isinstance(told, tuple):
        counts = [count for count in told if isinstance(count, int) and count >= 0]
        if not layers <= len(counts) == len(told):
            raise UnknownLayersError("its header lists KV heads for other layers than it has")
        return counts[:layers]
    return [header.number("attention.head_count_kv") or _needed(header, "attention.head_count")] * layers


def _lengths(header: GgufHeader, window: int | None) -> int:
    """Elements of one head: key length plus value length; both are embedding length / heads where not told."""
    key = header.number("attention.key_length") or _share_of_embedding(header)
    if header.number("attention.key_length_mla") is not None:
        return key
    value = header.number("attention.value_length") or _share_of_embedding(header)
    if window is not None:
        key = header.number("attention.key_length_swa") or key
        value = header.number("attention.value_length_swa") or value
    return key + value


def _share_of_embedding(header: GgufHeader) -> int:
    return _needed(header, "embedding_length") // _needed(header, "attention.head_count")


def _windows(header: GgufHeader, layers: int) -> list[int | None]:
    """The sliding window of each layer."""
    window = header.number("attention.sliding_window") or _WINDOWS.get(header.architecture)
    listed = header.metadata.get(f"{header.architecture}.attention.sliding_window_pattern")
    known = header.architecture in _PATTERNS
    if not window or not (known or header.architecture in _LISTED_ONLY):
        return [None] * layers
    if isinstance(listed, tuple) and len(listed) >= layers:
        return [window if slides else None for slides in listed[:layers]]
    if not known:
        return [None] * layers
    period, first = _PATTERNS[header.architecture]
    period = listed if isinstance(listed, int) and not isinstance(listed, bool) and listed >= 0 else period
    return [window if _slides(index, period, first=first) else None for index in range(layers)]


def _slides(index: int, period: int, *, first: bool) -> bool:
    """`set_swa_pattern` (src/llama-hparams.cpp)."""
    return period == 0 or (index % period != 0 if first else index % period < period - 1)
