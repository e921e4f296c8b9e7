"""Temperature, clock rate and throttling of the CPU, from Linux's /sys."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytest_llmbench.monitor.source import number_in, word_in

SYS = Path("/sys")
_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "scpi_sensors")
"""Drivers of a CPU's own sensors (hwmon)."""
_ZONES = ("x86_pkg_temp", "cpu", "soc", "acpitz")
"""How the type of a thermal zone that is the CPU's begins, the most exact first."""
_PLAUSIBLE_C = (1.0, 150.0)
_MOST_FILES = 16
"""On a machine of hundreds of cores as many are read, spread over them."""
_NOT_LINUX = "only Linux tells it without administrator's rights"


class Temperature:
    """Reading `temperature_c`: the hottest of the CPU's sensors."""

    def __init__(self, root: Path = SYS) -> None:
        self._files = _some(_cpu_chips(root / "class/hwmon") or _cpu_zones(root / "class/thermal"))
        self.missing = {} if self._files else {"temperature_c": _why("no temperature sensor of the CPU")}

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  no rate
        celsius = [number / 1000 for file in self._files if (number := number_in(file)) is not None]
        plausible = [value for value in celsius if _PLAUSIBLE_C[0] <= value <= _PLAUSIBLE_C[1]]
        if plausible:
            return {"temperature_c": max(plausible)}
        if self._files:
            self.missing = {"temperature_c": "the CPU's sensors tell nothing plausible"}
        return {}

    def close(self) -> None:
        """Nothing is held."""


class Frequency:
    """Reading `frequency_hz`: the clock of the fastest core. Idle cores are slow, throttling slows all."""

    def __init__(self, root: Path = SYS) -> None:
        self._files = _some((root / "devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq"))
        self.missing = {} if self._files else {"frequency_hz": _why("no cpufreq")}

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  no rate
        kilohertz = [number for file in self._files if (number := number_in(file))]
        return {"frequency_hz": max(kilohertz) * 1000.0} if kilohertz else {}

    def close(self) -> None:
        """Nothing is held."""


class Throttling:
    """Reading `throttled`: how often the cores were slowed because of heat, since the first reading.

    The sum over cores and packages; threads of one core tell the same event each. Its rise matters, not its size.
    """

    def __init__(self, root: Path = SYS) -> None:
        self._files = _some((root / "devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
        self.missing = {} if self._files else {"throttled": _why("no throttling counters (Intel's CPUs have them)")}
        self._began: int | None = None

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  no rate
        counts = [number for file in self._files if (number := number_in(file)) is not None]
        if len(counts) < len(self._files) or not counts:  # a sum over fewer cores would fall
            return {}
        if self._began is None:
            self._began = sum(counts)
        return {"throttled": float(sum(counts) - self._began)}

    def close(self) -> None:
        """Nothing is held."""


def _why(lacking: str) -> str:
    if sys.platform != "linux":
        return _NOT_LINUX
    return f"{lacking} in /sys; a virtual machine does not see its host's"


def _some(files: Iterable[Path]) -> list[Path]:
    every = sorted(files)
    step = -(-len(every) // _MOST_FILES) or 1
    return every[::step]


def _cpu_chips(hwmon: Path) -> list[Path]:
    """Temperatures of the CPU's own chips. AMD's Tctl is Tdie plus an offset for fans: Tdie goes first."""
    files = [file for chip in hwmon.glob("hwmon*") if word_in(chip / "name") in _CHIPS for file in _inputs(chip)]
    for wanted in ("Tdie", "Tctl", "Package"):
        if chosen := [file for file in files if _label(file).startswith(wanted)]:
            return chosen
    return files


def _inputs(chip: Path) -> Iterator[Path]:
    yield from chip.glob("temp*_input")


def _label(file: Path) -> str:
    return word_in(file.with_name(file.name.replace("_input", "_label")))


def _cpu_zones(thermal: Path) -> list[Path]:
    zones = {zone / "temp": word_in(zone / "type").lower() for zone in thermal.glob("thermal_zone*")}
    for wanted in _ZONES:
        if chosen := [file for file, kind in zones.items() if kind.startswith(wanted)]:
            return chosen
    return []
