"""Text, in both forms: trees from it, and text from trees. Knows no operator, setting or statement word.

Parsing never raises for any text: it gives a tree and findings.
"""

from nnspec.syntax.interpolation import interpolation
from nnspec.syntax.nn_parser import parse, parse_annotation, parse_expression, parse_path, parse_step, parse_type
from nnspec.syntax.parts import Annotation
from nnspec.syntax.source import read_source

__all__ = [
    "Annotation",
    "interpolation",
    "parse",
    "parse_annotation",
    "parse_expression",
    "parse_path",
    "parse_step",
    "parse_type",
    "read_source",
]
