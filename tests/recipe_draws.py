"""Random recipes on the data sets that come with scikit-learn: sound ones, and ones with a mistake somewhere."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Set(NamedTuple):
    """A data set: its field, the type of one sample, and its classes, none where it holds a number to be met."""

    name: str
    field: str
    type: str
    classes: int | None


SETS = (
    Set("Digits", "image", "1, 8, 8", 10), Set("Iris", "x", "4", 3), Set("Wine", "x", "13", 3),
    Set("BreastCancer", "x", "30", 2), Set("Diabetes", "x", "10", None),
)  # fmt: skip
BODIES = {
    "image": (
        "Flatten", "Conv2d(4, 3) -> ReLU -> Flatten", "Conv2d(4, 3) -> BatchNorm2d -> ReLU -> MaxPool2d(2) -> Flatten",
        "Conv2d(4, 3, padding=1) -> AdaptiveAvgPool2d(1) -> Flatten", "squeeze(1) -> SelfAttention(2, causal=false) -> mean(dim=1)",
    ),
    "x": (
        "Linear(8) -> ReLU", "Linear(8, bias=false) -> BatchNorm1d -> ReLU", "Linear(8) -> Dropout(0.5) -> Tanh", "Identity", "LayerNorm",
    ),
}  # fmt: skip
RATES = (
    "1e-3", "0.01", "cosine(1e-3, 0, epochs=1)", "cosine(1e-3, 1e-5, steps=5)", "ramp(0, 1e-3, steps=3)",
    "decay(1e-2, factor=0.5, every_epochs=1)", "piecewise(ramp(0, 1e-3, steps=2), cosine(1e-3, 0, steps=3))", "constant(1e-3)",
    "reduce_on_plateau(1e-3)", 'reduce_on_plateau(1e-3, mode="max", patience=0)',
)  # fmt: skip
OPTIMIZERS = {
    "SGD": ("momentum=0.9", "momentum=0", "nesterov=true", "dampening=0.1"), "RMSprop": ("centered=true", "alpha=0.9", "momentum=0.5"),
    "Adagrad": ("lr_decay=0.1",), "Adadelta": ("rho=0.8",),
    **dict.fromkeys(("Adam", "AdamW"), ("betas=[0.9, 0.95]", "betas=[0, 0.9]", "amsgrad=true")),
    **dict.fromkeys(("NAdam", "RAdam"), ("betas=[0.5, 0.9]", "decoupled_weight_decay=true")),
}  # fmt: skip
OVERRIDES = (
    "lr = 0 where rank < 2", "weight_decay = 0 where rank < 2", "lr = 1e-4 where operator == Linear", 'lr = 0.01 where named("*.bias")',
    'weight_decay = 0 where not named("zebra*")', "lr = cosine(1e-3, 0, steps=4) where rank >= 2",
)  # fmt: skip
SETTINGS = (
    "drop_last true", "drop_last false", "workers 2", "accumulate 2", "accumulate 5", "clip_grad_norm 1.0", "clip_grad_value 0.5", "seed 5",
    "precision bfloat16", "memory_format channels_last", "activation_checkpointing true", "cuda_graphs false", "fused_loss true",
    "on_nan skip", "on_nan rollback",
    "patience 1", "patience 3", "keep_best loss", "keep_best accuracy", "measure_every steps=2", "measure_every epochs=1",
)  # fmt: skip


def drawn(seed: int) -> str:
    """The spec of a seed."""
    return _Draw(Random(seed)).spec()


class _Draw:
    def __init__(self, source: Random) -> None:
        self.source = source
        self.set = source.choice(SETS)

    def maybe(self, chance: float, text: str) -> str:
        return text if self.source.random() < chance else ""

    def several(self, chance: float, texts: tuple[str, ...]) -> list[str]:
        return [text for text in texts if self.source.random() < chance]

    def spec(self) -> str:
        choose = self.source.choice
        shares = [
            self.maybe(0.5, f"validation={choose((0.1, 0.5, 0.01, 0.25))}"),
            self.maybe(0.3, f"test={choose((0, 0.5, 0.1))}"),
        ]
        called = f"{self.set.name}({', '.join(filter(None, shares))})"
        body, output = choose(BODIES[self.set.field]), self.outputs()
        settings = [choose(("steps 3", "epochs 1\n  steps 20", "epochs 2\n  steps 30")), *self.several(0.1, SETTINGS)]
        settings.append(self.maybe(0.9, f"batch_size {choose((32, 64, 7, 31, 2, 1, 100_000))}"))
        return f"""
network Net {{
  input {self.set.field}: float32[N, {self.set.type}]
  output y = {self.set.field} -> {body} -> {output}
}}
train Recipe {{
  data d = {called}
  y = Net(d.{self.set.field})
  minimize {self.loss()}
{self.metrics()}
  optimizer {self.optimizer()}
  {chr(10).join(f"  {each}" for each in settings if each).strip()}
}}
"""

    def outputs(self) -> str:
        sound = f"Linear({self.set.classes or 1})"
        return self.source.choice(
            (sound, sound, sound, f"{sound} -> Sigmoid", "Linear(1) -> squeeze(1)", "Linear(2)", f"{sound} -> LogSoftmax(dim=1)")
        )

    def loss(self) -> str:
        number = "d.target" if self.set.classes is None else "float32(d.label)"
        found = [
            f"mse_loss(squeeze(y, 1), {number})",
            f"l1_loss(y, unsqueeze({number}, 1))",
            f"huber_loss(y, {number})",
            "mean(y ** 2)",
        ]
        if self.set.classes is not None:
            found += ["cross_entropy(y, d.label)"] * 4
            found += [f"mse_loss(y, float32(one_hot(d.label, {self.set.classes})))", "nll_loss(y, d.label)"]
            found += [
                f"binary_cross_entropy_with_logits(squeeze(y, 1), {number})",
                "cross_entropy(y, d.label, label_smoothing=0.1)",
            ]
        loss = self.source.choice(found)
        weight = self.source.choice(("0.1", "cosine(1, 0, steps=3)", "ramp(0, 1, epochs=1)"))
        return loss + self.maybe(0.25, f" + {weight} * {self.source.choice(found)}")

    def metrics(self) -> str:
        number = "d.target" if self.set.classes is None else "float32(d.label)"
        found: tuple[str, ...] = (f"r2(squeeze(y, 1), {number})", f"error = l1_loss(y, {number})", "size = mean(y)")
        if self.set.classes is not None:
            found += (
                "accuracy(y, d.label)",
                "top = accuracy(y, d.label, top_k=2)",
                "f1(y, d.label)",
                "auc(y, d.label)",
                "perplexity(y, d.label)",
            )
            found += ('macro = f1(y, d.label, average="macro")', "iou(y, d.label)", "exact_match(argmax(y, dim=1), d.label)")
        return "\n".join(f"  measure {each}" for each in self.several(0.12, found))

    def optimizer(self) -> str:
        name = self.source.choice(list(OPTIMIZERS))
        settings = [self.maybe(0.7, f"lr={self.source.choice(RATES)}"), *self.several(0.3, OPTIMIZERS[name])]
        settings += [self.maybe(0.3, "weight_decay=0.01"), self.maybe(0.1, "maximize=true")]
        return f"{name}({', '.join(filter(None, settings))})" + self.maybe(
            0.25, f" {{ override {self.source.choice(OVERRIDES)} }}"
        )
