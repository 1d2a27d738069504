"""From a recipe to a trained network: data, steps, measurements, checkpoints and the run folder that keeps them.

What a recipe is, is checked in `nnspec.graph`; how it becomes modules, in `nnspec.torch_backend`.
"""

from nnspec.training.agents import AgentResult
from nnspec.training.errors import CheckpointError, Interrupted, RunError, TrainingError
from nnspec.training.evaluate import evaluate
from nnspec.training.folds import FoldsResult, cross_validate
from nnspec.training.measure import Evaluation
from nnspec.training.playing import Returns
from nnspec.training.predict import predict
from nnspec.training.progress import Progress, Silent
from nnspec.training.run_folder import RunFolder
from nnspec.training.sample import Drawn, sample
from nnspec.training.train import RunResult, train

__all__ = [
    "AgentResult", "CheckpointError", "Drawn", "Evaluation", "FoldsResult", "Interrupted", "Progress", "Returns", "RunError", "RunFolder",
    "RunResult", "Silent", "TrainingError", "cross_validate", "evaluate", "predict", "sample", "train",
]  # fmt: skip
