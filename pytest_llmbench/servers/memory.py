"""What a llama.cpp server will need in memory, in closed form from its model's header.

    total = weights + KV caches + compute buffer + base

The total predicts the peak of the physical memory (`VmHWM`) of a server on the CPU that has answered a request which
filled its context. docs/explanation/memory.md derives the terms, names their places in llama.cpp's sources (b11434) and
shows how they compare with what was measured.
"""

from __future__ import annotations

import functools
import itertools
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_llmbench.models.gguf import GgufHeader
from pytest_llmbench.models.gguf_bytes import LongArray
from pytest_llmbench.models.gguf_tensors import TensorInfo
from pytest_llmbench.servers.memory_layers import (
    CacheRules,
    Layer,
    UnknownLayersError,
    attention_layers,
    cache_bytes,
    checkpoint_bytes,
    masked_cells,
)

KIB, MIB = 1 << 10, 1 << 20

_SWITCHES: Mapping[str, str] = MappingProxyType(
    {"-kvu": "unified", "--kv-unified": "unified", "--swa-full": "swa_full"}
)
_FLOAT = 4
_HALF = 2
_CANDIDATE = 12
"""Bytes of `llama_token_data`: the sampler has one for each token of the vocabulary."""
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Base:
    """What an engine needs besides weights, caches and buffers: measured, see docs/explanation/memory.md."""

    program_bytes: int
    """Program, libraries, HTTP threads; of the embedded engine also its Python."""
    token_bytes: int
    """For each token of the vocabulary: its text twice, its score, its place in a hash map."""
    merge_bytes: int
    """For each merge of a BPE tokenizer."""
    layer_bytes: int
    """For each layer: nodes of the compute graph, tensor records."""


BASES: Mapping[str, Base] = MappingProxyType(
    {
        "llama-server": Base(20 * MIB, 150, 105, 50 * KIB),
        "embedded": Base(40 * MIB, 200, 176, 100 * KIB),
    }
)
_SLOT_BYTES = MIB
"""Of a slot, besides logits and candidates: its sampler, its grammar, its share of the HTTP side."""
_PROMPT_TOKEN_BYTES = 512
"""Of each token of a request's text, in all its copies between socket and answer."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of physical memory, part by part."""

    weights_bytes: int
    """The mapped file, and copies of the weights that are repacked for this CPU."""
    kv_bytes: int | None
    """The KV caches; None where the header does not tell them."""
    compute_bytes: int
    """Activations of one batch, attention masks (and scores without flash attention)."""
    base_bytes: int
    """Program, vocabulary, logits, saved states of slots."""
    unknown: str = ""
    """Why there is no total."""

    @property
    def total_bytes(self) -> int | None:
        """None where a part is not known."""
        return None if self.kv_bytes is None else self.at_least_bytes

    @property
    def at_least_bytes(self) -> int:
        """The sum of what is known."""
        return self.weights_bytes + (self.kv_bytes or 0) + self.compute_bytes + self.base_bytes


def estimate(
    header: GgufHeader,
    *,
    context: int,
    slots: int = 1,
    kv_type: str = "f16",
    batch: int = 512,
    engine: str = "embedded",
    flash_attention: bool = True,
    unified: bool = False,
    swa_full: bool = False,
    repacked: frozenset[str] | None = None,
) -> MemoryEstimate:
    """What a server of these settings will need.

    Args:
        header: the model's.
        context: tokens of context a slot.
        slots: parallel slots.
        kv_type: type of keys and values in the cache (`f16`, `q8_0`, ...).
        batch: tokens processed at once (llama.cpp's `--ubatch-size`).
        engine: `llama-server` or `embedded`.
        flash_attention: as llama.cpp chooses on a CPU.
        unified: one cache for all slots (`--kv-unified`).
        swa_full: whole caches for sliding-window layers (`--swa-full`).
        repacked: weight types that the engine copies into another order; by default those of this machine's CPU.

    Returns:
        The parts; without `kv_bytes`, and with the reason, where the header does not tell the caches.
    """
    rules = CacheRules(context, slots, kv_type, batch, unified, swa_full)
    layers, unknown = _layers(header, kv_type)
    return MemoryEstimate(
        weights_bytes=_weights_bytes(header, repacked_types() if repacked is None else repacked),
        kv_bytes=None if layers is None else cache_bytes(layers, rules),
        compute_bytes=_compute_bytes(header, layers or [], rules, flash_attention=flash_attention),
        base_bytes=_base_bytes(header, layers or [], rules, BASES[engine]),
        unknown=unknown,
    )


def asked_by(flags: Sequence[str]) -> dict[str, Any]:
    """The settings of `estimate` that flags of llama-server change."""
    asked: dict[str, Any] = {}
    for flag, value in itertools.pairwise((*flags, "")):
        if flag in _SWITCHES:
            asked[_SWITCHES[flag]] = True
        elif flag in {"-ub", "--ubatch-size"} and value.isdecimal():
            asked["batch"] = int(value)
        elif flag in {"-ctk", "--cache-type-k"}:
            asked["kv_type"] = value
        elif flag in {"-fa", "--flash-attn"}:
            asked["flash_attention"] = value not in {"off", "0"}
    return asked


def _layers(header: GgufHeader, kv_type: str) -> tuple[list[Layer] | None, str]:
    try:
        layers = attention_layers(header)
    except UnknownLayersError as error:
        return None, str(error)
    if cache_bytes([], CacheRules(0, kv_type=kv_type)) is None:
        return None, f"no size is known for the cache type {kv_type}"
    return layers, ""


def _weights_bytes(header: GgufHeader, repacked: frozenset[str]) -> int:
    """All tensors (of a mixture all experts) as the file is mapped, and a copy of those that are repacked.

    The mapped pages of a repacked tensor stay resident too: `llama_mmap` populates the whole file, and only what lies
    before the first and behind the last mapped tensor is let go.
    """
    tied = not any(tensor.name == "output.weight" for tensor in header.tensors)
    copies = (tensor.size_bytes or 0 for tensor in header.tensors if _is_repacked(tensor, repacked, tied=tied))
    return header.weights_bytes + sum(copies)


def _is_repacked(tensor: TensorInfo, types: frozenset[str], *, tied: bool) -> bool:
    """`ggml_repack_get_optimal_repack_type` (ggml/src/ggml-cpu/repack.cpp): matrices of whole blocks of eight rows.

    A token embedding is looked up, not multiplied with, unless it serves as the output matrix as well.
    """
    if tensor.type not in types or len(tensor.shape) < 2 or tensor.shape[1] % 8:
        return False
    return tied if tensor.name == "token_embd.weight" else tensor.name.endswith(".weight")


def _compute_bytes(header: GgufHeader, layers: list[Layer], rules: CacheRules, *, flash_attention: bool) -> int:
    """The buffer of `llama_context::sched_reserve` (src/llama-context.cpp) for a batch of `n` tokens.

        n · 4 · (5 E + W)  +  mask

    E is the embedding length. W is what the feed-forward part holds at once: 3 F, F its length (gate, up and their
    product); for k experts a token k · 3 F, and k · E where their results do not fit in the place of gate and up.
    The mask has n rows and a column for each cell, of 2 bytes. Without flash attention there are scores of all heads,
    n · cells · heads · 4, instead of W where that is more, and the mask has 4 bytes. The logits of the slots, which
    need a token each, share the place of the activations.
    """
    tokens, width = rules.tokens_at_once, header.number("embedding_length") or 0
    mask = masked_cells(layers, rules) * tokens * (_HALF if flash_attention else _FLOAT)
    activations = tokens * _FLOAT * (5 * width + _feed_forward_width(header, width))
    if not flash_attention:
        heads = header.number("attention.head_count") or 0
        activations = max(activations, tokens * _FLOAT * (7 * width + rules.cells * heads))
    return max(activations + mask, rules.slots * vocabulary_size(header) * _FLOAT)


def _feed_forward_width(header: GgufHeader, width: int) -> int:
    dense = 3 * _largest(header, "feed_forward_length")
    used = header.number("expert_used_count") or 0
    length = header.number("expert_feed_forward_length") or dense // 3
    mixture = used * (3 * length + (width if width > 2 * length else 0))
    return max(dense if not used else 0, mixture)


def _base_bytes(header: GgufHeader, layers: list[Layer], rules: CacheRules, base: Base) -> int:
    """Program, vocabulary, layers' records, the CPU's scratch memory, and for each slot logits and saved states."""
    vocabulary = vocabulary_size(header)
    widest = max(header.number("embedding_length") or 0, _largest(header, "feed_forward_length"))
    scratch = rules.tokens_at_once * widest * 34 // 32  # a batch's activations as Q8_0 (`ggml_graph_plan`)
    slot = vocabulary * (_FLOAT + _CANDIDATE) + _SLOT_BYTES + rules.context * _PROMPT_TOKEN_BYTES
    return (
        base.program_bytes
        + vocabulary * base.token_bytes
        + _count(header, "tokenizer.ggml.merges") * base.merge_bytes
        + (header.number("block_count") or 0) * base.layer_bytes
        + scratch
        + rules.slots * (slot + checkpoint_bytes(layers, rules))
    )


def vocabulary_size(header: GgufHeader) -> int:
    """Tokens that the model knows; 0 where the header does not tell."""
    return _count(header, "tokenizer.ggml.tokens") or header.number("vocab_size") or 0


def _count(header: GgufHeader, key: str) -> int:
    value = header.metadata.get(key)
    if isinstance(value, LongArray):
        return value.count
    return len(value) if isinstance(value, tuple) else 0


def _largest(header: GgufHeader, key: str) -> int:
    """A number that a file tells once or layer by layer."""
    value = header.metadata.get(f"{header.architecture}.{key}")
    if isinstance(value, tuple):
        return max((each for each in value if isinstance(each, int)), default=0)
    return header.number(key) or 0


@functools.cache
def repacked_types() -> frozenset[str]:
    """Weight types that llama.cpp's CPU engine copies into another order on this machine."""
    machine = platform.machine().lower()
    flags = re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", _cpu_info(), re.MULTILINE)
    return repacked_by(machine, frozenset(flags[0].split()) if flags else frozenset())


def repacked_by(machine: str, flags: frozenset[str]) -> frozenset[str]:
    """As `repacked_types`, for a machine (`x86_64`, `aarch64`, `arm64`) and the flags that its CPU info names.

    Apple's processors name none; all of them have what is asked for.
    """
    if machine in {"arm64", "aarch64"}:
        dotprod = not flags or "asimddp" in flags
        return frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "Q8_0"}) if dotprod else frozenset()
    if "avx2" not in flags:
        return frozenset()
    return frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"} | ({"Q2_K"} if "avx512f" in flags else set()))


def _cpu_info() -> str:
    return _CPU_INFO.read_text(encoding="utf-8", errors="replace") if _CPU_INFO.exists() else ""
