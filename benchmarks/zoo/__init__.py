"""The zoo, trained: `python -m benchmarks.zoo` (see `__main__`)."""
