"""Names and words of PyTorch, Keras and Python that mean something here, under another name.

Asked only for what nothing defines. Not here: slips of the fingers (`nnspec.similar`).
"""

from __future__ import annotations

from collections.abc import Container

from nnspec.similar import Similar

#: A name of other libraries -> what to write, as an operator or value of this language.
_NAMES = {
    # Python
    "True": "true", "False": "false", "None": "none",
    # Keras's layers
    "Dense": "Linear", "LayerNormalization": "LayerNorm", "GroupNormalization": "GroupNorm", "RMSNormalization": "RMSNorm",
    "Conv1DTranspose": "ConvTranspose1d", "Conv2DTranspose": "ConvTranspose2d", "Conv3DTranspose": "ConvTranspose3d",
    **{f"{long}Pooling{axes}D": f"{short}Pool{axes}d" for long, short in (("Max", "Max"), ("Average", "Avg")) for axes in (1, 2, 3)},
    "UpSampling1D": "Upsample", "UpSampling2D": "Upsample", "UpSampling3D": "Upsample",
    "ZeroPadding1D": "ZeroPad1d", "ZeroPadding2D": "ZeroPad2d", "ZeroPadding3D": "ZeroPad3d",
    "Concatenate": "concat", "SpatialDropout1D": "Dropout1d", "SpatialDropout2D": "Dropout2d", "SpatialDropout3D": "Dropout3d",
    # losses
    "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss", "MSELoss": "mse_loss", "L1Loss": "l1_loss",
    "SmoothL1Loss": "smooth_l1_loss", "HuberLoss": "huber_loss", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "KLDivLoss": "kl_div", "GaussianNLLLoss": "gaussian_nll_loss",
    "TripletMarginLoss": "triplet_margin_loss", "CosineSimilarity": "cosine_similarity",
    "categorical_crossentropy": "cross_entropy", "sparse_categorical_crossentropy": "cross_entropy",
    "CategoricalCrossentropy": "cross_entropy", "SparseCategoricalCrossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy", "BinaryCrossentropy": "binary_cross_entropy",
    "mean_squared_error": "mse_loss", "MeanSquaredError": "mse_loss", "mse": "mse_loss", "MSE": "mse_loss",
    "mean_absolute_error": "l1_loss", "MeanAbsoluteError": "l1_loss", "mae": "l1_loss", "MAE": "l1_loss",
    # functions
    "cat": "concat", "concatenate": "concat", "view": "reshape", "mm": "matmul", "bmm": "matmul", "swapaxes": "transpose",
    "reduce_mean": "mean", "reduce_sum": "sum", "expand_dims": "unsqueeze", "randn": "normal", "rand": "uniform", "logical_xor": "ne",
    "CosineAnnealingLR": "cosine", "CosineDecay": "cosine", "ReduceLROnPlateau": "reduce_on_plateau",
}  # fmt: skip
_PREFIX = "operators and values have no prefix: write `relu`, not `torch.relu`"
_POOLED = "write `AdaptiveAvgPool2d(1) -> Flatten`"
#: The same where no single name will do: what to tell.
_ADVICE = {
    **dict.fromkeys(("torch", "nn", "F", "np", "numpy", "tf", "keras", "layers"), _PREFIX),
    "self": "values of a network are named alone: `h`, not `self.h`",
    "BatchNormalization": "write `BatchNorm1d` for rows and sequences, `BatchNorm2d` for images",
    "batch_norm": "write `BatchNorm1d` for rows and sequences, `BatchNorm2d` for images",
    "GlobalAveragePooling2D": _POOLED, "GlobalAvgPool2D": _POOLED, "GlobalMaxPooling2D": _POOLED.replace("Avg", "Max"),
    "Sequential": "steps are joined by arrows: `x -> Linear(8) -> ReLU`",
    "ModuleList": "write `repeat 4 { ... }` for copies in a row, or a `layer` for each",
    "Activation": "an activation is a step of its own: `-> ReLU`",
    "Add": "add values with `+`: `a + b`",
    "Multiply": "multiply values with `*`: `a * b`",
    "StepLR": "write `decay(...)` or `piecewise(...)` as the learning rate",
    "same": 'text stands in quotes: `padding="same"`',
    "valid": 'text stands in quotes: `padding="valid"`, which is `padding=0`',
}  # fmt: skip
_NETWORK = ("model", "module", "net", "class", "Model", "Module", "architecture")
#: A member of a tensor elsewhere -> the one here.
_MEMBERS = {"size": "shape", "ndim": "rank", "dim": "rank", "type": "dtype"}
#: A word that begins an item elsewhere -> the word here.
_ITEMS = {
    **dict.fromkeys(_NETWORK, "network"), **dict.fromkeys(("recipe", "trainer", "training", "fit", "experiment"), "train"),
    **dict.fromkeys(("def", "function", "fn", "component"), "block"), "dataset": "data", "import": "use",
    "assert": "ensure", "generate": "sample", **dict.fromkeys(("search", "tune", "hpo"), "sweep"),
}  # fmt: skip
#: A word that begins a statement elsewhere -> the word here, for those that the body has.
_STATEMENTS = {
    "return": "output", "yield": "output", "result": "output", "out": "output", "inputs": "input", "outputs": "output",
    "parameter": "param", "weight": "param", "loss": "minimize", "objective": "minimize", "metric": "measure", "metrics": "measure",
    "optim": "optimizer", "batch": "batch_size", "max_epochs": "epochs",
}  # fmt: skip


def similar_name(name: str) -> Similar:
    """What a name of elsewhere is called here."""
    return Similar((_NAMES[name],), foreign=True) if name in _NAMES else Similar()


def advice(name: str) -> str | None:
    """What to do instead, where a name of elsewhere has no counterpart."""
    return _ADVICE.get(name)


def similar_member(name: str) -> Similar:
    """What a member of a tensor of elsewhere is called here."""
    return Similar((_MEMBERS[name],), foreign=True) if name in _MEMBERS else Similar()


def similar_item(word: str) -> Similar:
    """What the word of an item of elsewhere is here."""
    return Similar((_ITEMS[word],), foreign=True) if word in _ITEMS else Similar()


def similar_statement(word: str, words: Container[str]) -> Similar:
    """What the word of a statement of elsewhere is here, if it is one of `words`."""
    meant = _STATEMENTS.get(word)
    return Similar((meant,), foreign=True) if meant is not None and meant in words else Similar()
