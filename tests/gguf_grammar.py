"""Almost valid GGUF files for hypothesis: everything a header holds, with now and then one thing wrong."""

from __future__ import annotations

import struct

from gguf_samples import ARRAY, F16, F32, LLAMA, Q8_0, STRING, gguf, text
from hypothesis import strategies as st

EDGES = (0, 1, 2, 31, 32, 33, 255, 1 << 16, 1 << 20, 1 << 22, 1 << 31, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1)
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Value type → bytes."""
KEYS = ("general.architecture", "general.alignment", "tokenizer.chat_template", "split.no", "split.count", "a", "")
TINY = gguf(
    {**LLAMA, "tokenizer.chat_template": "{{ messages }}", "general.name": "Tiny"},
    {
        "token_embd.weight": ((64, 2), F32, bytes(512)),
        "blk.0.w": ((32, 4), Q8_0, bytes(136)),
        "norm": ((16,), F16, bytes(32)),
    },
)
"""A good file that mutations start from."""


@st.composite
def _rarely(draw: st.DrawFn, usual: st.SearchStrategy[int]) -> int:
    """A number as it should be, one in forty times one at an edge."""
    return draw(st.sampled_from(EDGES) if draw(st.integers(0, 39)) == 0 else usual)


def _lied(truth: int) -> st.SearchStrategy[int]:
    return _rarely(st.just(truth))


@st.composite
def _texts(draw: st.DrawFn, content: st.SearchStrategy[bytes]) -> bytes:
    data = draw(content)
    return struct.pack("<Q", draw(_lied(len(data)))) + data


_CONTENT = st.one_of(st.binary(max_size=20), st.text(max_size=20).map(lambda s: s.encode("utf-8", "surrogatepass")))
_ANY_TEXT = _texts(_CONTENT)


@st.composite
def _values(draw: st.DrawFn) -> bytes:
    kind = draw(_rarely(st.sampled_from([*SIZES, STRING, ARRAY]))) & 0xFFFFFFFF
    head = struct.pack("<I", kind)
    if kind != ARRAY:
        return head + draw(_items(kind))
    inner, count = draw(_rarely(st.sampled_from([*SIZES, STRING, ARRAY]))) & 0xFFFFFFFF, draw(st.integers(0, 5))
    items = b"".join(draw(_items(inner)) for _ in range(count))
    return head + struct.pack("<IQ", inner, draw(_lied(count))) + items


def _items(kind: int) -> st.SearchStrategy[bytes]:
    if kind == STRING:
        return _ANY_TEXT
    size = SIZES.get(kind, 4)
    return st.binary(min_size=size, max_size=size)


@st.composite
def _entries(draw: st.DrawFn) -> bytes:
    return draw(_texts(st.one_of(st.sampled_from(KEYS).map(str.encode), _CONTENT))) + draw(_values())


@st.composite
def _tensors(draw: st.DrawFn, number: int) -> bytes:
    """One tensor of up to 2048 bytes, at its place behind those before it."""
    shape = draw(st.lists(_rarely(st.sampled_from([1, 2, 4, 32])), max_size=3))
    name = draw(_texts(st.sampled_from([b"a", b"b", b"blk.0.w", b"\xff", b"a\0b"]))) if draw(st.booleans()) else None
    count = draw(_lied(len(shape))) & 0xFFFFFFFF
    kind = draw(_rarely(st.sampled_from([F32, F16, 99]))) & 0xFFFFFFFF
    head = (name or text(f"t{number}")) + struct.pack(f"<I{len(shape)}Q", count, *shape)
    return head + struct.pack("<IQ", kind, draw(_lied(number << 15)))


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Headers by the format's grammar, in which any count, length, type and place may be wrong."""
    entries = draw(st.lists(_entries(), max_size=5))
    tensors = [draw(_tensors(number)) for number in range(draw(st.integers(0, 3)))]
    version = draw(_rarely(st.just(3))) & 0xFFFFFFFF
    head = b"GGUF" + struct.pack("<IQQ", version, draw(_lied(len(tensors))), draw(_lied(len(entries))))
    return head + b"".join(entries) + b"".join(tensors)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A good file with bytes flipped, put in, taken out, moved elsewhere, or its end cut off; up to four times."""
    data = bytearray(TINY)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        put = draw(st.one_of(st.binary(min_size=1, max_size=16), st.sampled_from(EDGES).map(_packed)))
        end = at + draw(st.integers(0, 24))
        match draw(st.sampled_from(["flip", "overwrite", "insert", "delete", "splice", "cut"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "overwrite":
                data[at : at + len(put)] = put
            case "insert":
                data[at:at] = put
            case "delete":
                del data[at:end]
            case "splice":
                data[at:at] = data[end : end + draw(st.integers(1, 64))]
            case _:
                del data[at:]
    return bytes(data)


def _packed(number: int) -> bytes:
    return struct.pack("<Q", number)
