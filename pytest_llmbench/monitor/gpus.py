"""Memory, load and power of GPUs: NVIDIA's by NVML, AMD's by AMD SMI. Both libraries are optional and imported late."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

KEYS = ("vram_bytes", "gpu_share", "gpu_power_w")
_MIB = 1 << 20
AMD_DRIVER = Path("/sys/module/amdgpu")
INSTALL = "pip install 'pytest-llmbench[gpu]'"
_Asks = dict[str, Callable[[], float]]


class Gpus:
    """Readings `vram_bytes` and `gpu_power_w`, summed over all cards that the library shows, and `gpu_share`, the load
    of the busiest. `CUDA_VISIBLE_DEVICES` does not hide a card from NVML.

    Args:
        cards: how each card is asked for its readings.
        failures: what the library raises where a card does not tell.
        end: lets go of the library.
    """

    def __init__(self, cards: list[_Asks], failures: type[Exception], end: Callable[[], None]) -> None:
        self.missing: dict[str, str] = {}
        self._cards = cards
        self._failures = failures
        self._end = end

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  no rate
        return dict(self._told())

    def close(self) -> None:
        self._end()

    def _told(self) -> Iterator[tuple[str, float]]:
        for key in KEYS:
            if key in self.missing:
                continue
            try:
                values = [card[key]() for card in self._cards]
            except self._failures as error:
                self.missing[key] = f"a card does not tell it: {error}"
                continue
            yield key, max(values) if key == "gpu_share" else sum(values)


class NoGpus:
    """No card can be asked, and why."""

    def __init__(self, reason: str) -> None:
        self.missing = dict.fromkeys(KEYS, reason)

    def read(self, at_s: float) -> Mapping[str, float]:  # noqa: ARG002  there is nothing
        return {}

    def close(self) -> None:
        """Nothing is held."""


def find_gpus(amd_driver: Path = AMD_DRIVER) -> Gpus | NoGpus:
    """The cards of this machine, by whichever library answers."""
    found, why_not = _nvidia()
    if found:
        return found
    if not amd_driver.exists():
        return NoGpus(why_not)
    found, why_not_amd = _amd()
    return found or NoGpus(f"{why_not}; {why_not_amd}")


def _nvidia() -> tuple[Gpus | None, str]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return None, f"NVIDIA cards are not asked: nvidia-ml-py is not installed ({INSTALL})"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return None, f"no NVIDIA driver answers: {error}"
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        nvml.nvmlShutdown()
        return None, f"NVML does not answer: {error}"
    if not handles:
        nvml.nvmlShutdown()
        return None, "NVML knows no card"
    return Gpus([_nvidia_card(nvml, handle) for handle in handles], nvml.NVMLError, nvml.nvmlShutdown), ""


def _nvidia_card(nvml: Any, handle: Any) -> _Asks:
    return {
        "vram_bytes": lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used),
        "gpu_share": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "gpu_power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    }


def _amd() -> tuple[Gpus | None, str]:
    try:
        # Without AMD's system library the package prints advice to stdout and then fails over its own table.
        with contextlib.redirect_stdout(io.StringIO()):
            smi: Any = importlib.import_module("amdsmi")
    except ModuleNotFoundError:
        return None, "AMD cards are not asked: amdsmi is not installed (pip install amdsmi)"
    except (KeyError, OSError, AttributeError):
        return None, "amdsmi is installed, but AMD's libamd_smi.so is not (install the package amd-smi-lib)"
    try:
        smi.amdsmi_init()
        handles = smi.amdsmi_get_processor_handles()
    except smi.AmdSmiException as error:
        return None, f"AMD SMI does not answer: {error}"
    if not handles:
        smi.amdsmi_shut_down()
        return None, "AMD SMI knows no card"
    return Gpus([_amd_card(smi, handle) for handle in handles], smi.AmdSmiException, smi.amdsmi_shut_down), ""


def _amd_card(smi: Any, handle: Any) -> _Asks:
    def power_w() -> float:
        told = smi.amdsmi_get_power_info(handle)
        return _number(smi, told["current_socket_power"], told["average_socket_power"])

    return {
        "vram_bytes": lambda: _number(smi, smi.amdsmi_get_gpu_vram_usage(handle)["vram_used"]) * _MIB,
        "gpu_share": lambda: _number(smi, smi.amdsmi_get_gpu_activity(handle)["gfx_activity"]) / 100,
        "gpu_power_w": power_w,
    }


def _number(smi: Any, *told: Any) -> float:
    """The first that is a number: what a card does not tell is the text "N/A".

    Raises:
        AmdSmiException: none is.
    """
    for value in told:
        if isinstance(value, int | float):
            return float(value)
    raise smi.AmdSmiException("the card does not tell it")
