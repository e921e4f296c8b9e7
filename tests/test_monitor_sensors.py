"""Temperature, clock, throttling and power, from trees of files as Linux has them on real hardware."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_llmbench.monitor.rapl import PackagePower
from pytest_llmbench.monitor.sensors import Frequency, Temperature, Throttling

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /sys")


def tree(folder: Path, files: Mapping[str, object]) -> Path:
    """A /sys with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return folder


AMD = {
    "class/hwmon/hwmon0/name": "nvme",
    "class/hwmon/hwmon0/temp1_input": 99000,
    "class/hwmon/hwmon1/name": "k10temp",
    "class/hwmon/hwmon1/temp1_label": "Tctl",
    "class/hwmon/hwmon1/temp1_input": 82250,
    "class/hwmon/hwmon1/temp2_label": "Tdie",
    "class/hwmon/hwmon1/temp2_input": 72250,
}
INTEL = {
    "class/hwmon/hwmon3/name": "coretemp",
    "class/hwmon/hwmon3/temp1_label": "Package id 0",
    "class/hwmon/hwmon3/temp1_input": 61000,
    "class/hwmon/hwmon3/temp2_label": "Core 0",
    "class/hwmon/hwmon3/temp2_input": 66000,
    "class/hwmon/hwmon4/name": "coretemp",
    "class/hwmon/hwmon4/temp1_label": "Package id 1",
    "class/hwmon/hwmon4/temp1_input": 64000,
}
BOARD = {
    "class/thermal/thermal_zone0/type": "gpu-thermal",
    "class/thermal/thermal_zone0/temp": 90000,
    "class/thermal/thermal_zone1/type": "cpu-thermal",
    "class/thermal/thermal_zone1/temp": 55844,
}


@pytest.mark.parametrize(("files", "celsius"), [(AMD, 72.25), (INTEL, 64.0), (BOARD, 55.844)])
def test_the_cpus_own_temperature_is_read_and_not_a_disks_or_a_cards(
    tmp_path: Path, files: Mapping[str, object], celsius: float
) -> None:
    """The die rather than the value for fans, the hottest package, a board's zone where no chip is there."""
    source = Temperature(tree(tmp_path, files))
    assert source.read(0.0) == {"temperature_c": celsius}
    assert not source.missing


@pytest.mark.parametrize("told", ["-274000", "0", "4294967295", "", "N/A"])
def test_a_sensor_that_tells_nonsense_is_not_available(tmp_path: Path, told: str) -> None:
    """Never 0 degrees."""
    source = Temperature(tree(tmp_path, {**BOARD, "class/thermal/thermal_zone1/temp": told}))
    assert source.read(0.0) == {}
    assert "nothing plausible" in source.missing["temperature_c"]


def test_the_fastest_cores_clock_is_told_in_hertz(tmp_path: Path) -> None:
    """Idle cores are slow: a mean over them would say that the machine throttles."""
    files = {f"devices/system/cpu/cpufreq/policy{n}/scaling_cur_freq": 800000 for n in range(3)}
    files["devices/system/cpu/cpufreq/policy3/scaling_cur_freq"] = 4321000
    assert Frequency(tree(tmp_path, files)).read(0.0) == {"frequency_hz": 4.321e9}


def test_a_machine_of_many_cores_is_read_at_some_of_them(tmp_path: Path) -> None:
    """What a sample costs does not grow with the machine."""
    files = {f"devices/system/cpu/cpufreq/policy{n}/scaling_cur_freq": 1000 + n for n in range(250)}
    source = Frequency(tree(tmp_path, files))
    for file in list((tmp_path / "devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq"))[::7]:
        file.unlink()
    assert 1e6 <= source.read(0.0)["frequency_hz"] < 1.25e6
    assert len(source._files) <= 16


def test_throttling_is_counted_from_the_first_reading_on(tmp_path: Path) -> None:
    """What happened since boot is not this measurement's; a core that goes offline does not make the count fall."""
    name = "devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
    source = Throttling(tree(tmp_path, {name.format(0): 40, name.format(1): 2}))
    assert source.read(0.0) == {"throttled": 0}
    tree(tmp_path, {name.format(1): 5})
    assert source.read(1.0) == {"throttled": 3}
    (tmp_path / name.format(0)).unlink()
    assert source.read(2.0) == {}


def package(number: int, energy_uj: int, size: int = 262143328850) -> dict[str, object]:
    folder = f"intel-rapl:{number}"
    return {
        f"{folder}/name": f"package-{number}",
        f"{folder}/energy_uj": energy_uj,
        f"{folder}/max_energy_range_uj": size,
        f"intel-rapl:{number}:0/name": "core",
        f"intel-rapl:{number}:0/energy_uj": 0,
    }


def test_power_is_the_energy_of_all_packages_over_the_time_since_the_last_reading(tmp_path: Path) -> None:
    """30 J and 12 J in two seconds are 21 W; the cores inside a package are not counted again; the first has none."""
    source = PackagePower(tree(tmp_path, {**package(0, 1_000_000), **package(1, 0)}))
    assert source.read(10.0) == {}
    tree(tmp_path, {**package(0, 31_000_000), **package(1, 12_000_000), "intel-rapl:0:0/energy_uj": 10**9})
    assert source.read(12.0) == {"package_power_w": pytest.approx(21.0)}


def test_a_counter_that_began_again_from_zero_gives_the_right_power(tmp_path: Path) -> None:
    """The counter's range is told beside it."""
    source = PackagePower(tree(tmp_path, package(0, 99_000_000, size=100_000_000)))
    source.read(0.0)
    tree(tmp_path, package(0, 4_000_000, size=100_000_000))
    assert source.read(1.0) == {"package_power_w": pytest.approx(5.0)}


def test_a_package_that_cannot_be_read_makes_the_power_unavailable_and_not_smaller(tmp_path: Path) -> None:
    """At the start with the reason; later that sample has none."""
    source = PackagePower(tree(tmp_path / "lost", {**package(0, 1), **package(1, 1)}))
    source.read(0.0)
    (tmp_path / "lost/intel-rapl:1/energy_uj").unlink()
    assert source.read(1.0) == {}
    refused = tree(tmp_path / "refused", package(0, 1))
    (refused / "intel-rapl:0/energy_uj").unlink()
    assert "not readable" in PackagePower(refused).missing["package_power_w"]


@pytest.mark.parametrize("source", [Temperature, Frequency, Throttling, PackagePower])
def test_a_machine_without_the_files_says_so(tmp_path: Path, source: type) -> None:
    """A virtual machine: no reading, one reason, nothing raised."""
    found = source(tmp_path)
    assert found.read(0.0) == {}
    (reason,) = found.missing.values()
    assert "/sys" in reason
    assert "virtual machine" in reason
