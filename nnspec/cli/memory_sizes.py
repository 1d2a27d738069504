"""Amounts of memory as they are written on the command line, and what is free."""

from __future__ import annotations

import re

from nnspec.errors import UsageError

_UNITS = {"": 1, "B": 1, **{f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", 1)},
          **{f"{unit}B": 1000**power for power, unit in enumerate("KMGT", 1)}}  # fmt: skip


def read_bytes(option: str, text: str) -> int:
    """The bytes of "8GiB", "80 GB", "512MiB"."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    if found is None or found[2].lower() not in units:
        raise UsageError(f"{option} {text}: write an amount of memory, such as 8GiB or 512MiB")
    size = int(float(found[1]) * units[found[2].lower()])
    if size < 1:
        raise UsageError(f"{option} {text}: no memory at all")
    return size


def free_bytes(device: str) -> int:
    """What is free on the device: on CUDA by its driver, else by the system."""
    from nnspec.cli.devices import chosen_device

    if device == "cuda" or (device == "auto" and chosen_device(device) == "cuda"):
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError) as error:
        raise UsageError("--fit free: this system does not say how much memory is free; give an amount, such as 8GiB") from error
