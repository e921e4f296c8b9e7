"""Memory, swapping and load of the whole machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from pytest_llmbench.monitor.foreign import ForeignMeter, Reading, foreign
from pytest_llmbench.monitor.kernel import PROC, waited_s

_NO_PRESSURE = "no pressure-stall information: Linux before 4.20, switched off (psi=0), or not Linux"

_NO_STEAL = "only Linux tells what the host of a virtual machine takes"
_NOT_OURS = "the server is not ours: what it uses and what others use cannot be told apart"


class SystemMemory:
    """Readings `system_available_bytes`, `system_used_share`, `swap_in_bytes` and `swap_out_bytes`.

    Swapping is counted from the first reading on. The machine's memory, not the container's.
    """

    def __init__(self) -> None:
        self.missing: Mapping[str, str] = {}
        self._began: tuple[int, int] | None = None

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  no rate
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        if self._began is None:
            self._began = swap.sin, swap.sout
        return {
            "system_available_bytes": float(memory.available),
            "system_used_share": 1 - memory.available / memory.total,
            "swap_in_bytes": float(swap.sin - self._began[0]),
            "swap_out_bytes": float(swap.sout - self._began[1]),
        }

    def close(self) -> None:
        """Nothing is held."""


class Load:
    """Readings `cpu_foreign_share` and `steal_share`, of all cores, since the last reading.

    Args:
        pid: the server's process; what a server uses that is not ours cannot be told from what others use.
        proc: where the kernel's files are.
    """

    def __init__(self, pid: Callable[[], int | None], proc: Path = PROC) -> None:
        self._pid = pid
        self._meter = ForeignMeter(lambda: [] if (server := pid()) is None else [server], proc=proc)
        self._last: Reading | None = None

    @property
    def missing(self) -> Mapping[str, str]:
        missing = {} if sys.platform == "linux" else {"steal_share": _NO_STEAL}
        return missing if self._pid() is not None else {**missing, "cpu_foreign_share": _NOT_OURS}

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  the meter keeps its own time
        before, self._last = self._last, self._meter.read()
        if before is None:
            return {}
        found = foreign(before, self._last)
        shares = {"cpu_foreign_share": found.cpu_share, "steal_share": found.steal_share}
        missing = self.missing
        return {name: share for name, share in shares.items() if share is not None and name not in missing}

    def close(self) -> None:
        """Nothing is held."""


class Pressure:
    """Readings `psi_cpu_some`, `psi_memory_some`, `psi_io_some`: the share of the time since the last reading in which
    at least one task of the machine waited for it.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._resources = [name for name in ("cpu", "memory", "io") if waited_s(name, proc) is not None]
        self.missing = {
            f"psi_{name}_some": _NO_PRESSURE for name in ("cpu", "memory", "io") if name not in self._resources
        }
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, at_s: float) -> Mapping[str, float]:
        found = {}
        for name in self._resources:
            waited, before = waited_s(name, self._proc), self._last.get(name)
            if waited is None:
                continue
            self._last[name] = at_s, waited
            if before is not None and at_s > before[0]:
                found[f"psi_{name}_some"] = min((waited - before[1]) / (at_s - before[0]), 1.0)
        return found

    def close(self) -> None:
        """Nothing is held."""
