"""From a recipe to a trained network: data, steps, measurements, checkpoints and the run folder that keeps them.

What a recipe is, is checked in `nnspec.graph`; how it becomes modules, in `nnspec.torch_backend`.
"""

from nnspec.training.evaluate import Evaluation, evaluate
from nnspec.training.predict import predict
from nnspec.training.progress import Progress, Silent
from nnspec.training.run_folder import RunFolder
from nnspec.training.train import RunResult, TrainingError, train

__all__ = ["Evaluation", "Progress", "RunFolder", "RunResult", "Silent", "TrainingError", "evaluate", "predict", "train"]
