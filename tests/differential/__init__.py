"""Whole random networks, checked by nnspec and run by torch: the two have to agree.

`description` is what both sides are made from; `spelling` writes it as a spec, `execution` runs it in torch. Not here: single
operators, which `tests/torch/oracle.py` holds against torch.
"""
