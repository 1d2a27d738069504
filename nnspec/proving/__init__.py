"""Proof of what was inferred, by running: shapes, element types, weights, work, preconditions, gradients and claims, against torch.

Every network of a report, in each of its variants, every recipe and every sample is run on small random tensors, node by node: networks
and recipes at several sizes. No data is read. What cannot be run here is named, never passed over.
"""

from __future__ import annotations

from nnspec.proving.account import NetworkAccount, Proof, RecipeAccount, SampleAccount
from nnspec.proving.prove import TRIALS, prove

__all__ = ["TRIALS", "NetworkAccount", "Proof", "RecipeAccount", "SampleAccount", "prove"]
