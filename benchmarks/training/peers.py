"""Other people's training loops on the rows: Lightning, Keras on torch, scikit-learn.

Raises NotImplementedError for rows that they cannot do.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.training.rows import Epoch, Row


def _arrays(row: Row) -> dict[str, Any]:
    return row.arrays(numpy.random.default_rng(0), row.samples)


class _Passes:
    """Lightning's `fit`, an epoch at a time. `seconds` is what the last one took without the making ready."""

    def __init__(self, row: Row) -> None:
        import lightning

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
        data = {name: torch.from_numpy(each) for name, each in _arrays(row).items()}
        names = list(data)
        torch.manual_seed(0)

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.network: nn.Module = row.network()

            def training_step(self, batch: list[Tensor], index: int) -> Tensor:
                return row.loss(self.network, dict(zip(names, batch, strict=True)))

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return row.by_hand(self.network.parameters())

        passes = self

        class Clock(lightning.Callback):
            def on_train_epoch_start(self, *given: Any) -> None:
                passes.began, passes.loss = time.perf_counter(), 0.0

            def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *given: Any) -> None:
                passes.loss += float(outputs["loss"])

            def on_train_epoch_end(self, *given: Any) -> None:
                passes.seconds = time.perf_counter() - passes.began

        self.module, self.loader = Module(), DataLoader(TensorDataset(*data.values()), batch_size=row.batch, shuffle=True)
        self.trainer = lightning.Trainer(
            max_epochs=0, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[Clock()],
        )  # fmt: skip
        self.seconds = self.began = self.loss = 0.0

    def __call__(self) -> float:
        self.trainer.fit_loop.max_epochs += 1
        self.trainer.fit(self.module, self.loader)
        return self.loss


def lightning(row: Row) -> Epoch:
    """Lightning, with the network and loss by hand."""
    return _Passes(row)


def keras(row: Row) -> Epoch:
    """Keras 3 on torch, with its own layers."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers

    networks: dict[str, list[Any]] = {
        "two-conv CNN": [
            layers.Input((28, 28, 1)), layers.Conv2D(20, 5, activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(50, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(500, activation="relu"),
            layers.Dense(10),
        ],
        "MLP": [layers.Input((784,)), layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu"), layers.Dense(10)],
    }  # fmt: skip
    if row.name not in networks:
        raise NotImplementedError(f"{row.name} is not written in Keras here")
    arrays = _arrays(row)
    image = arrays["image"].reshape(-1, 28, 28, 1) if row.name != "MLP" else arrays["image"].reshape(-1, 784)
    model = keras.Sequential(networks[row.name])
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    steps = -(-row.samples // row.batch)

    def epoch() -> float:
        history = model.fit(image, arrays["label"], batch_size=row.batch, epochs=1, verbose=0)
        return float(history.history["loss"][0]) * steps

    return epoch


def scikit_learn(row: Row) -> Epoch:
    """scikit-learn's MLPClassifier."""
    from sklearn.neural_network import MLPClassifier

    if row.name != "MLP":
        raise NotImplementedError(f"scikit-learn has no {row.name}")
    arrays = _arrays(row)
    model = MLPClassifier(
        (512, 256), solver="sgd", alpha=0.0, batch_size=row.batch, learning_rate_init=0.01, momentum=0.9, nesterovs_momentum=False
    )
    image, classes = arrays["image"].reshape(-1, 784), numpy.arange(10)
    steps = -(-row.samples // row.batch)

    def epoch() -> float:
        model.partial_fit(image, arrays["label"], classes=classes)
        return float(model.loss_) * steps

    return epoch
