"""A model file that loads and answers, and is not what it was: noise in place of some of its weights."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from pytest_llmbench.models.gguf import read_header

_BLOCK_BYTES = {"Q4_1": 20, "Q8_0": 34}
_SCALE_BYTES = {"Q4_1": 4, "Q8_0": 2}


def damaged_copy(source: Path, target: Path, tensors: Sequence[str]) -> Path:
    """A copy whose blocks of these tensors keep their scales and hold random weights: finite, of the right size, wrong.

    Args:
        source: a GGUF file in Q4_1 or Q8_0.
        target: the copy.
        tensors: names, as `blk.10.ffn_down.weight`.
    """
    shutil.copy(source, target)
    header, chance = read_header(source), random.Random(4)
    with target.open("r+b") as file:
        for tensor in header.tensors:
            if tensor.name not in tensors:
                continue
            block, scale = _BLOCK_BYTES[tensor.type], _SCALE_BYTES[tensor.type]
            start = header.data_offset + tensor.offset
            file.seek(start)
            data = bytearray(file.read(tensor.size_bytes or 0))
            for place in range(0, len(data), block):
                data[place + scale : place + block] = chance.randbytes(block - scale)
            file.seek(start)
            file.write(data)
    return target
