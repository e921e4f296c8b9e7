"""GPUs, by the libraries' own interfaces; the modules are stand-ins that answer as NVML and AMD SMI do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_llmbench.monitor.gpus import KEYS, find_gpus


class NVMLError(Exception):
    """What pynvml raises."""


class AmdSmiException(Exception):  # noqa: N818  the library's name
    """What amdsmi raises."""


def nvml(cards: list[dict[str, float]], *, driver: bool = True) -> Any:
    """A pynvml with these cards; a card that lacks a number refuses to tell it."""
    module: Any = ModuleType("pynvml")
    module.NVMLError, module.open = NVMLError, 0

    def init() -> None:
        if not driver:
            raise NVMLError("NVML Shared Library Not Found")
        module.open += 1

    def end() -> None:
        module.open -= 1

    def told(card: dict[str, float], name: str) -> float:
        if name not in card:
            raise NVMLError("Not Supported")
        return card[name]

    module.nvmlInit, module.nvmlShutdown = init, end
    module.nvmlDeviceGetCount = lambda: len(cards)
    module.nvmlDeviceGetHandleByIndex = lambda index: cards[index]
    module.nvmlDeviceGetMemoryInfo = lambda card: SimpleNamespace(used=told(card, "used"), total=0, free=0)
    module.nvmlDeviceGetUtilizationRates = lambda card: SimpleNamespace(gpu=told(card, "gpu"), memory=0)
    module.nvmlDeviceGetPowerUsage = lambda card: told(card, "milliwatt")
    return module


def amdsmi(card: dict[str, Any]) -> Any:
    """An amdsmi with one card; what it cannot tell is the text "N/A", as there."""
    module: Any = ModuleType("amdsmi")
    module.AmdSmiException, module.open = AmdSmiException, 0
    module.amdsmi_init = lambda: setattr(module, "open", module.open + 1)
    module.amdsmi_shut_down = lambda: setattr(module, "open", module.open - 1)
    module.amdsmi_get_processor_handles = lambda: [card]
    module.amdsmi_get_gpu_vram_usage = lambda card: {"vram_total": 16000, "vram_used": card["vram_used"]}
    module.amdsmi_get_gpu_activity = lambda card: {"gfx_activity": card["gfx_activity"]}
    module.amdsmi_get_power_info = lambda card: {"current_socket_power": "N/A", "average_socket_power": card["power"]}
    return module


def test_memory_and_power_are_summed_over_the_cards_and_the_load_is_the_busiest_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NVML tells bytes, percent and milliwatts; the library is let go of at the end."""
    cards = [{"used": 1e9, "gpu": 20, "milliwatt": 61500}, {"used": 2e9, "gpu": 95, "milliwatt": 250000}]
    module = nvml(cards)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    source = find_gpus()
    assert source.read(0.0) == {"vram_bytes": 3e9, "gpu_share": 0.95, "gpu_power_w": 311.5}
    assert not source.missing
    source.close()
    assert module.open == 0


def test_a_card_that_does_not_tell_its_power_tells_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reading is not available with the driver's reason, and a sum without one card is not made."""
    cards = [{"used": 1e9, "gpu": 20, "milliwatt": 5000}, {"used": 2e9, "gpu": 5}]
    monkeypatch.setitem(sys.modules, "pynvml", nvml(cards))
    source = find_gpus()
    for _ in range(2):
        assert source.read(0.0) == {"vram_bytes": 3e9, "gpu_share": 0.2}
    assert source.missing == {"gpu_power_w": "a card does not tell it: Not Supported"}


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "nvidia-ml-py is not installed (pip install 'pytest-llmbench[gpu]')"),
        (nvml([], driver=False), "no NVIDIA driver answers: NVML Shared Library Not Found"),
        (nvml([]), "NVML knows no card"),
    ],
)
def test_a_machine_without_a_card_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Any, reason: str
) -> None:
    """Every reading of a card is not available, and nothing is held open."""
    monkeypatch.setitem(sys.modules, "pynvml", module)
    source = find_gpus(amd_driver=tmp_path / "none")
    assert source.read(0.0) == {}
    assert set(source.missing) == set(KEYS)
    assert reason in source.missing["gpu_share"]
    assert module is None or module.open == 0


def test_an_amd_card_is_asked_by_amds_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It tells mebibytes, percent and watts; the second way to ask for power is taken where the first says "N/A"."""
    module = amdsmi({"vram_used": 1024, "gfx_activity": 50, "power": 120})
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    source = find_gpus(amd_driver=tmp_path)
    assert source.read(0.0) == {"vram_bytes": 1 << 30, "gpu_share": 0.5, "gpu_power_w": 120.0}
    source.close()
    assert module.open == 0


def test_what_an_amd_card_does_not_tell_is_not_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The text "N/A" is no load of 0."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi({"vram_used": 1, "gfx_activity": "N/A", "power": "N/A"}))
    source = find_gpus(amd_driver=tmp_path)
    assert source.read(0.0) == {"vram_bytes": 1 << 20}
    assert set(source.missing) == {"gpu_share", "gpu_power_w"}


def test_amds_library_without_its_system_part_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package prints advice and fails over its own table at import: neither reaches the user's terminal."""
    (tmp_path / "amdsmi.py").write_text("print('Unable to find libamd_smi.so')\n{}['libamd_smi.so']\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    source = find_gpus(amd_driver=tmp_path)
    assert "libamd_smi.so is not" in source.missing["vram_bytes"]
    assert capsys.readouterr().out == ""
