"""Torch modules and functions of our own that operators name in their TorchCalls. They read tensors and numbers, never specs.

Each file imports torch and files beside it only, so that an exported program may carry copies of them.
"""
