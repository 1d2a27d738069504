"""The device that a word on the command line means."""

from __future__ import annotations

from nnspec.errors import UsageError


def chosen_device(word: str) -> str:
    """`auto` is CUDA where there is a device, else the CPU. Raises UsageError where CUDA is asked for and missing."""
    import torch

    available = torch.cuda.is_available()
    if word == "cuda" and not available:
        raise UsageError("--device cuda: torch sees no CUDA device here (`nnspec doctor` shows what it sees)")
    return ("cuda" if available else "cpu") if word == "auto" else word
