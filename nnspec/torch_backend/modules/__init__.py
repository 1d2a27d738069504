"""Torch modules and functions of our own that operators name in their TorchCalls. They read tensors and numbers, never specs.

Each file imports torch only, so that an exported program may carry a copy of it.
"""
