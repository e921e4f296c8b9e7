"""Which machines count as alike: bucketed, so that a machine is recognised again after a boot or a bigger disk."""

from __future__ import annotations

import re
from collections import Counter

from pytest_llmbench.records import Host

_GIB = 1 << 30
_NOISE = re.compile(
    r"\(r\)|\(tm\)|@.*|\b\d+(?:\.\d+)?\s*[gm]hz\b|\bcpu\b|\bprocessor\b|\b(?:\d+|dual|quad|six|eight)-core\b", re.I
)
_LONGEST = 60


def machine_class(host: Host) -> str:
    """A name for machines of this kind: `linux-x86_64-amd-epyc-7b13-4c-8g`, with `-2x-nvidia-a100-80g` of its cards.

    CPU model without clock rates, logical cores and memory as far as the container has them (memory as the next power
    of two in GiB), cards, and the operating system without its version.
    """
    parts = [
        host.os.split()[0] if host.os else "os",
        host.architecture,
        _NOISE.sub(" ", host.cpu_model)[:_LONGEST],
        f"{_cores(host)}c",
        f"{_memory_class(host)}g",
        *_cards(host),
    ]
    return "-".join(filter(None, map(_slug, parts)))


def _cores(host: Host) -> str:
    told = [each for each in (host.container_cpus, host.logical_cores) if each]
    return f"{min(told):.2g}" if told else "0"


def _memory_class(host: Host) -> int:
    """The power of two that is nearest in GiB: what firmware and a container's overhead take does not matter."""
    told = [each for each in (host.container_memory_bytes, host.memory_bytes) if each]
    if not told:
        return 0
    size, power = min(told) / _GIB, 1
    while power * 1.5 < size:
        power *= 2
    return power


def _cards(host: Host) -> list[str]:
    counted = Counter((gpu.name, round((gpu.memory_bytes or 0) / _GIB)) for gpu in host.gpus)
    return [f"{count}x-{name}-{size}g" for (name, size), count in sorted(counted.items())]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")
