"""Makes `spec_files.py` importable from the tests in every folder below: pytest puts this folder on the path for it."""
