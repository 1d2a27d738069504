"""A history of generated samples, for training a discriminator on more than the newest ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Hands on each sample of a batch, or, half the time once `size` are kept, an older one in whose place it is kept.

    (N, *sample) -> (N, *sample). In inference mode the batch is handed on as it is.
    """

    samples: Tensor
    filled: Tensor

    def __init__(self, size: int, sample: list[int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("samples", torch.zeros(size, *sample))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Tensor) -> Tensor:
        if not self.training:
            return batch
        with torch.no_grad():
            filled = int(self.filled)
            # Drawn on the CPU: what becomes of a sample depends on the draw, and asking a device would wait for it.
            exchanged, places = torch.rand(len(batch)).tolist(), torch.randint(self.size, (len(batch),)).tolist()
            handed = []
            for sample, chance, place in zip(batch.detach(), exchanged, places, strict=True):
                if filled < self.size:
                    self.samples[filled] = sample
                    filled += 1
                    handed.append(sample)
                elif chance < 0.5:
                    handed.append(self.samples[place].clone())
                    self.samples[place] = sample
                else:
                    handed.append(sample)
            self.filled.fill_(filled)
            return torch.stack(handed)
