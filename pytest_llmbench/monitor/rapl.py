"""Power of the CPU packages by their own energy counters (RAPL), from Linux's powercap folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_llmbench.monitor.source import number_in, word_in

POWERCAP = Path("/sys/class/powercap")


class PackagePower:
    """Reading `package_power_w`: the mean power of all CPU packages since the last reading.

    The counters are of energy (microjoules) and start again from 0 at their range: a busy package takes some minutes
    to an hour for that, so between two samples it happens at most once.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        packages = [zone for zone in sorted(root.glob("intel-rapl:*")) if word_in(zone / "name").startswith("package")]
        self._packages = packages
        self._ranges = [number_in(zone / "max_energy_range_uj") or 0 for zone in packages]
        self._last: tuple[float, list[int]] | None = None
        self.missing: Mapping[str, str] = {}
        if reason := self._reason():
            self.missing, self._packages = {"package_power_w": reason}, []

    def read(self, at_s: float) -> Mapping[str, float]:
        counts = [number for zone in self._packages if (number := number_in(zone / "energy_uj")) is not None]
        if not counts or len(counts) < len(self._packages):  # the power of some of them would be taken for all
            return {}
        before, self._last = self._last, (at_s, counts)
        if before is None or at_s <= before[0]:
            return {}
        used = [
            now - then if now >= then else now - then + size
            for now, then, size in zip(counts, before[1], self._ranges, strict=True)
        ]
        return {"package_power_w": sum(used) / 1e6 / (at_s - before[0])}

    def close(self) -> None:
        """Nothing is held."""

    def _reason(self) -> str:
        if sys.platform != "linux":
            return "only Linux tells it without administrator's rights"
        if not self._packages:
            return "no energy counters (RAPL) in /sys/class/powercap: a virtual machine, or a CPU without them"
        if any(number_in(zone / "energy_uj") is None for zone in self._packages):
            return "energy_uj in /sys/class/powercap is not readable: since 2020 only root may, or whom root lets"
        return ""
