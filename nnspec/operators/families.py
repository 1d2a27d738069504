"""Which operators each family declares, in the order of the reference. A test holds this against the declarations.

With it, a spec imports the families that it uses and no others. A name that is missing here is found all the same, by importing
every family.
"""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    "convolution": (
        "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"
    ),
    "pooling": (
        "MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d",
        "LPPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
        "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"
    ),
    "linear": (
        "Linear", "Bilinear", "Identity", "Flatten", "Unflatten"
    ),
    "normalization": (
        "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
        "LayerNorm", "RMSNorm", "GroupNorm", "LocalResponseNorm"
    ),
    "activation": (
        "ReLU", "relu", "ReLU6", "relu6", "LeakyReLU", "leaky_relu", "PReLU", "ELU", "elu", "SELU", "selu", "CELU",
        "celu", "GELU", "gelu", "SiLU", "silu", "Mish", "mish", "Sigmoid", "sigmoid", "LogSigmoid", "logsigmoid",
        "Tanh", "tanh", "Softplus", "softplus", "Softsign", "softsign", "Hardtanh", "hardtanh", "Hardsigmoid",
        "hardsigmoid", "Hardswish", "hardswish", "Hardshrink", "hardshrink", "Softshrink", "softshrink", "Tanhshrink",
        "tanhshrink", "Threshold", "threshold", "Softmax", "softmax", "LogSoftmax", "log_softmax", "Softmin",
        "softmin", "Softmax2d", "GLU", "glu"
    ),
    "dropout": (
        "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"
    ),
    "padding": (
        "ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
        "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
        "CircularPad1d", "CircularPad2d", "CircularPad3d", "pad"
    ),
    "resampling": (
        "Upsample", "interpolate", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"
    ),
    "elementwise": (
        "neg", "abs", "sign", "square", "exp", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "erf", "reciprocal",
        "floor", "ceil", "round", "isnan", "heaviside", "clamp", "float32", "float64", "int64", "bool"
    ),
    "arithmetic": (
        "add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "maximum", "minimum"
    ),
    "comparison": (
        "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not", "where", "masked_fill"
    ),
    "shape": (
        "flatten", "unflatten", "reshape", "squeeze", "unsqueeze", "transpose", "permute", "movedim", "expand"
    ),
    "rearrangement": (
        "flip", "roll", "tile", "repeat_interleave", "tril", "triu", "split", "chunk", "center_crop"
    ),
    "subscript": (
        "subscript",
    ),
    "indexing": (
        "select", "narrow", "index_select", "gather", "scatter", "take_along_dim", "pick", "one_hot"
    ),
    "ordering": (
        "topk", "sort", "argsort", "argmax", "argmin", "cumsum"
    ),
    "merge": (
        "concat", "stack"
    ),
    "reduction": (
        "sum", "prod", "mean", "amax", "amin", "std", "var", "norm", "logsumexp", "all", "any", "median"
    ),
    "matrix": (
        "matmul", "outer"
    ),
    "einsum": (
        "einsum",
    ),
    "creation": (
        "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "eye", "arange", "linspace"
    ),
    "gradient": (
        "detach", "gradient"
    ),
    "recipe_state": (
        "ImagePool",
    ),
    "recurrent": (
        "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"
    ),
    "attention": (
        "SelfAttention", "CrossAttention", "MultiheadAttention", "scaled_dot_product_attention"
    ),
    "graph": (
        "GCNConv", "GATConv", "SAGEConv"
    ),
    "positions": (
        "rotary", "AddPositions", "SinusoidalPositions"
    ),
    "embedding": (
        "Embedding",
    ),
    "random": (
        "normal", "uniform", "bernoulli", "randint", "xavier_uniform", "xavier_normal", "kaiming_uniform",
        "kaiming_normal", "orthogonal", "trunc_normal"
    ),
    "loss": (
        "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
        "binary_cross_entropy_with_logits"
    ),
    "similarity": (
        "kl_div", "gaussian_nll_loss", "dice_loss", "cosine_similarity", "triplet_margin_loss"
    ),
    "metric": (
        "accuracy", "precision", "recall", "f1", "iou", "auc", "r2", "perplexity", "exact_match"
    ),
    "agreement": (
        "balanced_accuracy", "matthews_corrcoef", "cohen_kappa", "average_precision", "calibration_error", "mae", "rmse"
    ),
    "optimizer": (
        "SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta"
    ),
    "schedule": (
        "constant", "ramp", "cosine", "decay", "piecewise", "reduce_on_plateau"
    ),
    "augmentation": (
        "RandomHorizontalFlip", "RandomVerticalFlip", "RandomCrop", "RandomResizedCrop", "resize", "ColorJitter", "Normalize"
    ),
    "fitted": (
        "Standardize",
    ),
    "source": (
        "MNIST", "FashionMNIST", "KMNIST", "Digits", "Iris", "Wine", "BreastCancer", "Diabetes", "Cora", "NPZ", "Generated"
    ),
    "table_source": (
        "CSV", "Parquet"
    ),
    "file_source": (
        "Pairs", "Windows", "Shards", "ImageFolder"
    ),
    "text": (
        "Characters", "BytePair", "TextWindows"
    ),
    "acting": (
        "Gym", "Replay", "Transitions", "epsilon"
    ),
}  # fmt: skip

#: Operator -> the family that declares it.
FAMILY_OF: dict[str, str] = {name: family for family, names in FAMILIES.items() for name in names}
