"""Which files a command works on, and how it reads and writes them: what `nnspec.project.files` offers to commands."""

from __future__ import annotations

from nnspec.project.files import YAML_SUFFIXES, is_yaml, looks_like_spec, read_bytes, report_name, specs, write_text

__all__ = ["YAML_SUFFIXES", "is_yaml", "looks_like_spec", "read_bytes", "report_name", "specs", "write_text"]
