"""What came out of runs, read from their folders and shown: the report of one, and several side by side. Needs no torch.

Not here: training and measuring, which write the folders (`nnspec.training`).
"""
