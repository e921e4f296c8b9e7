"""What a server will need in memory: the formulae against what llama.cpp's own log says, and against real servers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from gguf_samples import UINT32, array
from gguf_samples import gguf as gguf_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from server_sessions import ServerSession, spec_of

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.models.gguf import GgufHeader, read_header
from pytest_llmbench.models.gguf_bytes import LongArray
from pytest_llmbench.models.gguf_tensors import TensorInfo
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.records import ModelFile, ServerInfo
from pytest_llmbench.servers import engines
from pytest_llmbench.servers.memory import MIB, asked_by, estimate, repacked_by
from pytest_llmbench.servers.memory_layers import CacheRules, attention_layers, cache_bytes, checkpoint_bytes, kv_bytes

SMOLLM2 = {
    "block_count": 30, "embedding_length": 576, "feed_forward_length": 1536,
    "attention.head_count": 9, "attention.head_count_kv": 3,
}  # fmt: skip
GEMMA3 = {
    "block_count": 18, "embedding_length": 640, "feed_forward_length": 2048, "attention.head_count": 4,
    "attention.head_count_kv": 1, "attention.key_length": 256, "attention.value_length": 256,
    "attention.sliding_window": 512,
}  # fmt: skip
LLAMA3_8B = {
    "block_count": 32, "embedding_length": 4096, "feed_forward_length": 14336,
    "attention.head_count": 32, "attention.head_count_kv": 8,
}  # fmt: skip
DEEPSEEK_V2_LITE = {
    "block_count": 27, "embedding_length": 2048, "attention.head_count": 16, "attention.head_count_kv": 1,
    "attention.key_length": 576, "attention.value_length": 512, "attention.key_length_mla": 192,
}  # fmt: skip

Facts = Mapping[str, object]


def header(
    facts: Facts, architecture: str = "llama", tokens: int = 49_152, **tensors: tuple[str, int, int]
) -> GgufHeader:
    """A header of these facts, with matrices name → (type, row length, rows)."""
    metadata = {f"{architecture}.{key}": value for key, value in facts.items()}
    metadata |= {"general.architecture": architecture, "tokenizer.ggml.tokens": LongArray("string", tokens)}
    listed = tuple(TensorInfo(name, (row, rows), kind, 0) for name, (kind, row, rows) in tensors.items())
    return GgufHeader("model.gguf", 3, 0, metadata, listed, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "architecture", "rules", "mib"),
    [
        (SMOLLM2, "llama", CacheRules(2048), 45.0),
        (SMOLLM2, "llama", CacheRules(8192, kv_type="q8_0"), 95.625),
        (SMOLLM2, "llama", CacheRules(512, slots=4), 45.0),
        (SMOLLM2, "llama", CacheRules(100, slots=4), 22.5),
        (SMOLLM2, "llama", CacheRules(100, slots=4, unified=True), 11.25),
        (LLAMA3_8B, "llama", CacheRules(8192), 1024.0),
        (GEMMA3, "gemma3", CacheRules(512), 1.5 + 7.5),
        (GEMMA3, "gemma3", CacheRules(2048), 6.0 + 15.0),
        (GEMMA3, "gemma3", CacheRules(8192), 24.0 + 15.0),
        (GEMMA3, "gemma3", CacheRules(512, slots=4), 6.0 + 30.0),
        (GEMMA3, "gemma3", CacheRules(8192, swa_full=True), 24.0 + 120.0),
        (GEMMA3, "gemma3", CacheRules(8192, batch=256), 24.0 + 11.25),
        (DEEPSEEK_V2_LITE, "deepseek2", CacheRules(4096), 121.5),
    ],
)
def test_caches_take_what_llama_cpp_logs_for_them(
    facts: Facts, architecture: str, rules: CacheRules, mib: float
) -> None:
    """Grouped-query attention, sliding windows, compressed keys, cache types, slots with and without a common cache."""
    assert cache_bytes(attention_layers(header(facts, architecture)), rules) == mib * MIB


def test_a_real_files_header_gives_the_published_size(smollm2: ModelFile) -> None:
    """30 layers · 3 heads · (64 + 64) elements · 2 bytes · 2048 cells."""
    assert kv_bytes(read_header(smollm2.path), 2048) == 30 * 3 * (64 + 64) * 2 * 2048 == 45 * MIB


@pytest.mark.parametrize(
    ("architecture", "listed", "sliding"),
    [
        ("gemma3", None, [0, 1, 2, 3, 4, 6, 7]),
        ("gemma3", 3, [0, 1, 3, 4, 6, 7]),
        ("gemma3", (True, False) * 4, [0, 2, 4, 6]),
        ("cohere2moe", None, [1, 2, 3, 5, 6, 7]),
        ("gemma4", (False, True) * 4, [1, 3, 5, 7]),
        ("llama", None, []),
        ("phi3", None, []),
    ],
)
def test_sliding_layers_are_those_of_the_architecture_or_the_files_own(
    architecture: str, listed: object, sliding: list[int]
) -> None:
    """llama.cpp ignores the window of an architecture that has no pattern, so the whole context is what it stores."""
    facts = {**GEMMA3, "block_count": 8} | ({"attention.sliding_window_pattern": listed} if listed is not None else {})
    layers = attention_layers(header(facts, architecture))
    assert [index for index, layer in enumerate(layers) if layer.window is not None] == sliding


def test_layers_that_share_a_cache_are_not_counted() -> None:
    """gemma4's last layers use the caches of earlier ones."""
    own = attention_layers(header({**GEMMA3, "attention.shared_kv_layers": 8}, "gemma4"))
    assert len(own) == 10


@pytest.mark.parametrize(
    ("facts", "architecture"),
    [
        ({**SMOLLM2, "ssm.state_size": 16}, "jamba"),
        ({**SMOLLM2, "wkv.head_size": 64}, "rwkv7"),
        ({"block_count": 4}, "llama"),
        ({}, "unheard-of"),
    ],
)
def test_a_model_whose_caches_are_not_told_has_no_total_but_a_reason(facts: Facts, architecture: str) -> None:
    """A wrong number would be worse."""
    expected = estimate(header(facts, architecture), context=4096)
    assert (expected.kv_bytes, expected.total_bytes) == (None, None)
    assert expected.unknown
    assert expected.at_least_bytes > 0


def test_an_unknown_cache_type_has_no_total_but_a_reason() -> None:
    """What no size is known for cannot be summed."""
    expected = estimate(header(SMOLLM2), context=4096, kv_type="q3_9")
    assert expected.total_bytes is None
    assert "q3_9" in expected.unknown


WIDE = {**SMOLLM2, "feed_forward_length": 4096}
MIXTURE = {**SMOLLM2, "expert_count": 8, "expert_used_count": 2}
SMALL_EXPERTS = {**SMOLLM2, "expert_count": 32, "expert_used_count": 8, "expert_feed_forward_length": 256}


@pytest.mark.parametrize(
    ("facts", "architecture", "choices", "mib"),
    [
        (SMOLLM2, "llama", {"context": 512}, 15.14),
        (SMOLLM2, "llama", {"context": 2048}, 16.64),
        (SMOLLM2, "llama", {"context": 8192}, 22.64),
        (SMOLLM2, "llama", {"context": 2048, "batch": 256}, 8.32),
        (SMOLLM2, "llama", {"context": 2048, "batch": 128}, 4.16),
        (SMOLLM2, "llama", {"context": 512, "slots": 4}, 15.14),
        (SMOLLM2, "llama", {"context": 2048, "flash_attention": False}, 47.51),
        (WIDE, "llama", {"context": 512}, 30.14),
        (MIXTURE, "llama", {"context": 512}, 24.14),
        (SMALL_EXPERTS, "qwen3moe", {"context": 512}, 27.14),
        (GEMMA3, "gemma3", {"context": 512}, 19.28),
        (GEMMA3, "gemma3", {"context": 8192}, 27.28),
    ],
)
def test_the_compute_buffer_is_the_one_llama_cpp_reserves(
    facts: Facts, architecture: str, choices: dict[str, int], mib: float
) -> None:
    """Sizes from the log of llama-server b11434, most of them of models made for this with two layers of zeros."""
    found = estimate(header(facts, architecture), **choices).compute_bytes / MIB  # type: ignore[arg-type]
    assert found == pytest.approx(mib, rel=0.01)


def test_repacked_weights_are_there_twice() -> None:
    """The mapped file stays resident beside the copy; a token embedding is copied where it is the output matrix too."""
    matrix, embedding = ("Q4_0", 576, 1536), ("Q4_0", 576, 49_152)
    one, table = 576 * 1536 // 32 * 18, 576 * 49_152 // 32 * 18
    tied = header(SMOLLM2, **{"token_embd.weight": embedding, "blk.0.ffn_up.weight": matrix})
    own = header(SMOLLM2, **{"token_embd.weight": embedding, "output.weight": matrix})
    odd = header(SMOLLM2, **{"blk.0.ffn_up.weight": ("Q4_0", 576, 1537), "output.weight": ("Q8_0", 576, 8)})
    types = frozenset({"Q4_0"})
    assert estimate(tied, context=512, repacked=types).weights_bytes == 2 * (one + table)
    assert estimate(tied, context=512, repacked=frozenset()).weights_bytes == one + table
    assert estimate(own, context=512, repacked=types).weights_bytes == 2 * one + table
    assert estimate(odd, context=512, repacked=types).weights_bytes == odd.weights_bytes


def test_what_is_repacked_depends_on_the_processor() -> None:
    """`ggml_repack_get_optimal_repack_type` asks for AVX2, AVX-512, or ARM's dot product."""
    assert repacked_by("x86_64", frozenset()) == frozenset()
    assert repacked_by("x86_64", frozenset({"avx2"})) == {"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}
    assert "Q2_K" in repacked_by("x86_64", frozenset({"avx2", "avx512f"}))
    assert {"Q8_0", "Q6_K"} <= repacked_by("arm64", frozenset())
    assert repacked_by("aarch64", frozenset({"fp", "asimd"})) == frozenset()


def test_a_slot_keeps_two_states_of_its_sliding_windows() -> None:
    """A request saves one at its end and one a batch earlier; models without sliding windows save none."""
    sliding, plain = attention_layers(header(GEMMA3, "gemma3")), attention_layers(header(SMOLLM2))
    assert checkpoint_bytes(sliding, CacheRules(4096)) == 2 * 512 * 15 * 512 * 2
    assert checkpoint_bytes(sliding, CacheRules(512)) == 508 * 15 * 512 * 2
    assert checkpoint_bytes(sliding, CacheRules(4096, swa_full=True)) == 0
    assert checkpoint_bytes(plain, CacheRules(4096)) == 0


def test_flags_of_a_binary_change_its_estimate() -> None:
    """What a specification asks for by extra arguments counts too."""
    assert asked_by(("-ub", "128", "--swa-full", "-kvu", "-fa", "off", "--ctk", "x")) == {
        "batch": 128, "swa_full": True, "unified": True, "flash_attention": False,
    }  # fmt: skip
    assert asked_by(("--cache-type-k", "q8_0")) == {"kv_type": "q8_0"}
    assert asked_by(()) == {}
    assert asked_by(("-ub",)) == {}


SIZES = st.fixed_dictionaries(
    {
        "context": st.integers(1, 1 << 20), "slots": st.integers(1, 16), "batch": st.integers(1, 2048),
        "kv_type": st.sampled_from(["f32", "f16", "q8_0", "q4_0"]),
        "engine": st.sampled_from(["embedded", "llama-server"]),
        "unified": st.booleans(), "swa_full": st.booleans(), "flash_attention": st.booleans(),
    }
)  # fmt: skip


@settings(deadline=None)
@given(SIZES, st.sampled_from([(SMOLLM2, "llama"), (GEMMA3, "gemma3"), (SMALL_EXPERTS, "qwen3moe")]))
def test_more_context_or_slots_never_need_less(choices: dict[str, object], model: tuple[Facts, str]) -> None:
    """Otherwise the ledger could refuse the small and admit the large."""
    described = header(*model)

    def total(**more: object) -> int:
        found = estimate(described, **{**choices, **more}).total_bytes  # type: ignore[arg-type]
        assert found is not None
        return found

    once, context, slots = total(), choices["context"], choices["slots"]
    assert total(context=context * 2) >= once  # type: ignore[operator]
    assert total(slots=slots + 1) >= once  # type: ignore[operator]
    assert total(kv_type="f32") >= once


def test_an_unreadable_number_of_heads_is_no_crash(tmp_path: Path) -> None:
    """A list of heads that does not fit the layers leaves the total unknown."""
    heads = array(UINT32, [struct.pack("<I", 4)])
    (tmp_path / "m.gguf").write_bytes(gguf_bytes({"general.architecture": "llama", "llama.block_count": 2,
                                                  "llama.attention.head_count_kv": heads}))  # fmt: skip
    assert estimate(read_header(tmp_path / "m.gguf"), context=512).total_bytes is None


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


def fill(info: ServerInfo, tokens: int) -> int:
    """A request of so many tokens in every slot at once; the peak of the server's memory after it."""

    def ask(slot: int) -> None:
        body = {"prompt": [300 + slot * 1000 + place for place in range(tokens)], "n_predict": 2, "cache_prompt": False}
        head = {"Authorization": f"Bearer {info.api_key.reveal()}", "Content-Type": "application/json"}
        with urlopen(Request(f"{info.base_url}/completion", json.dumps(body).encode(), head), timeout=150) as answer:
            answer.read()

    with ThreadPoolExecutor(info.slots) as pool:
        list(pool.map(ask, range(info.slots or 1)))
    assert info.pid is not None
    peak_bytes = ProcessMeter(info.pid).peak_rss_bytes()
    assert peak_bytes is not None
    return peak_bytes


@pytest.mark.parametrize(
    "choices", [{"context": 512}, {"context": 4096, "kv_type": "q8_0"}, {"context": 1024, "slots": 2}]
)
def test_a_real_server_takes_what_was_estimated(
    session: ServerSession, smollm2: ModelFile, choices: dict[str, object]
) -> None:
    """Within 10 %, after a request that fills a batch; the estimate is told with the server and stored with it."""
    info = session.client().claim([spec_of(smollm2, **choices)], wait=True)[0]
    peak_bytes = fill(info, 256)
    assert info.estimated_bytes == pytest.approx(peak_bytes, rel=0.10)
    assert info.public()["estimated_bytes"] == info.estimated_bytes


def test_what_is_admitted_stays_within_the_memory_that_was_given(smollm2: ModelFile) -> None:
    """Contexts that grow until one is refused, with both numbers in the message: whatever ran never took more."""
    capacity_bytes = 240 * MIB
    with ServerSession(capacity_bytes) as session:
        client = session.client()
        for context in (256, 1024):
            spec = spec_of(smollm2, context=context)
            assert fill(client.claim([spec], wait=False)[0], 200) <= capacity_bytes
            client.release([spec])
        large = spec_of(smollm2, context=4096)
        with pytest.raises(ServerError, match="of 240 MiB") as refusal:
            client.claim([large], wait=False)
    assert refusal.value.category is Category.LOCAL_REFUSED
    assert f"{engines.need_bytes(large, engines.EMBEDDED) / MIB:.0f} MiB needed" in refusal.value.message
