"""Reading data: files and embedded sets become tensors by field, split into parts. What a source is called and how it is set is declared
in `nnspec.operators.source`; what the tensors are used for is `nnspec.training`'s matter."""

from nnspec.data.dataset import Dataset, fit_texts, load
from nnspec.data.errors import DataError

__all__ = ["DataError", "Dataset", "fit_texts", "load"]
