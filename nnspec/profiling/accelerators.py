"""Devices by name: what they attain at best, and what their memory holds, as their makers say. No torch.

Dense products, without sparsity. `link` is what one device sends to the others in a second, one direction: NVLink where it has that, else PCIe.
Sources: NVIDIA's data sheets of V100 (2020), T4 (2019), A10 (2021), A100 (2021), L4 (2023), L40S (2023), H100 (2023), H200 (2024) and the Ada
whitepaper (RTX 4090); AMD's data sheet of MI300X (2023).
"""

from __future__ import annotations

from typing import NamedTuple


class Accelerator(NamedTuple):
    """Bytes of memory, FLOP/s in float32 and in 16 bits, bytes/s of memory and of the link to others."""

    name: str
    memory: float
    float32: float
    bits16: float
    bandwidth: float
    link: float

    def flop_per_second(self, precision: str) -> float:
        """The peak of products that are computed in this precision."""
        return self.float32 if precision == "float32" else self.bits16


#: By the name that the command line takes.
ACCELERATORS: dict[str, Accelerator] = {
    each.name: each
    for each in (
        Accelerator("V100", 32e9, 15.7e12, 125e12, 0.9e12, 150e9),
        Accelerator("T4", 16e9, 8.1e12, 65e12, 0.32e12, 16e9),
        Accelerator("A10", 24e9, 31.2e12, 125e12, 0.6e12, 32e9),
        Accelerator("A100-40", 40e9, 19.5e12, 312e12, 1.555e12, 300e9),
        Accelerator("A100", 80e9, 19.5e12, 312e12, 2.039e12, 300e9),
        Accelerator("L4", 24e9, 30.3e12, 121e12, 0.3e12, 32e9),
        Accelerator("L40S", 48e9, 91.6e12, 362e12, 0.864e12, 32e9),
        Accelerator("RTX4090", 24e9, 82.6e12, 165.2e12, 1.008e12, 32e9),
        Accelerator("H100", 80e9, 67e12, 989e12, 3.35e12, 450e9),
        Accelerator("H200", 141e9, 67e12, 989e12, 4.8e12, 450e9),
        Accelerator("MI300X", 192e9, 163.4e12, 1307.4e12, 5.3e12, 448e9),
    )
}
