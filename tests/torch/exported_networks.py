"""Networks that exports are tried on: one or more of each family of `specs/`, small enough for a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from nnspec.checker import check_path
from nnspec.exporting import EXPORTERS, ExportContext, ExportResult
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes

SPECS = Path(__file__).parents[2] / "specs"
_BERT = {"vocab": 40, "longest": 24, "width": 16, "depth": 2, "heads": 2}

#: Spec, network and parameters.
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "autoencoder": ("autoencoder/autoencoder.nn", "ConvAutoencoder", {}),
    "cnn": ("cnn/simple_cnn.nn", "SimpleCNN", {}),
    "mobilenet": ("cnn/mobilenet.nn", "MobileNetV2", {"rows": [[1, 8, 1, 1], [6, 12, 2, 2]], "classes": 10}),
    "feed_forward": ("feed_forward/iris.nn", "FeedForward", {}),
    "gan": ("gan/dcgan.nn", "Generator", {"latent": 10, "width": 4}),
    "cyclegan": ("gan/cyclegan.nn", "Translator", {"width": 4, "depth": 2}),
    "gcn": ("graph/gcn.nn", "GCN", {"features": 12}),
    "gat": ("graph/gat.nn", "GAT", {"features": 12}),
    "sage": ("graph/sage.nn", "SAGE", {"features": 12, "hidden": 8}),
    "mlp": ("mlp/mlp.nn", "MLP", {"widths": [32, 16]}),
    "perceptron": ("perceptron/perceptron.nn", "Perceptron", {}),
    "q_agent": ("q_agent/dqn.nn", "QNetwork", {"duelling": True}),
    "table": ("q_agent/tabular.nn", "Table", {}),
    "resnet": ("resnet/resnet.nn", "ResNet18", {"classes": 10}),
    "resnet20": ("resnet/resnet20.nn", "ResNet20", {"blocks": 1}),
    "lstm": ("rnn/lstm_classifier.nn", "TextLSTM", {"vocab": 30, "width": 8}),
    "gru": ("rnn/row_classifier.nn", "RowGRU", {"width": 8}),
    "forecaster": ("rnn/forecaster.nn", "GRUForecaster", {"width": 8, "context": 48, "horizon": 24}),
    "gpt": ("transformer/gpt2.nn", "GPT2", {"vocab": 40, "context": 24, "width": 16, "depth": 2, "heads": 2}),
    "bert": ("transformer/bert.nn", "Classifier", _BERT),
    "encoder": ("transformer/encoder.nn", "Encoder", {"vocab": 30, "width": 16, "heads": 2, "longest": 24}),
    "seq2seq": ("transformer/seq2seq.nn", "Seq2Seq", {}),
    "vit": ("transformer/vit.nn", "ViT", {"side": 16, "patch": 4, "width": 16, "depth": 2, "heads": 2, "classes": 5}),
    "unet": ("unet/unet.nn", "UNet", {"width": 4, "depth": 2, "norm": True}),
    "unet_2015": ("unet/unet_2015.nn", "UNet2015", {"width": 4, "depth": 2}),
    "vae": ("vae/vae.nn", "VAE", {"hidden": 16}),
}


#: One of each family, for targets that take seconds; `benchmarks/exports.py` tries all.
FAMILIES = (
    "autoencoder",
    "cnn",
    "gan",
    "gcn",
    "mlp",
    "q_agent",
    "resnet20",
    "gru",
    "lstm",
    "gpt",
    "encoder",
    "seq2seq",
    "unet",
    "vae",
)
#: Recurrent layers that know where samples end are unrolled for ONNX: a fixed number of steps.
UNROLLED = frozenset({"lstm"})


@cache
def onnx_of(name: str) -> ExportResult:
    """One of them as an ONNX model, made once."""
    return EXPORTERS["onnx"](ExportContext(network(name), Path(mkdtemp()) / f"{name}.onnx"))


def network(name: str, *, is_fixed: bool = False) -> Graph:
    """One of them for inference; `is_fixed` with a number for every size."""
    path, chosen, parameters = NETWORKS[name]
    report = check_path(SPECS / path)
    graph = report.graph(chosen, **parameters)
    if not is_fixed:
        return graph
    sizes = {var.name: size for var, size in admissible_sizes(graph).items()}
    return check_path(SPECS / path, sizes=sizes).graph(chosen, **parameters)
