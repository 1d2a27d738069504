"""The specs of the repository, for the tests about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnspec.graph.ir import Graph, Value

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted((ROOT / "specs").rglob("*.nn"))

#: Parameters as published: by the paper, or by torchvision for the networks that bear its names.
PUBLISHED = {
    "Perceptron": 3,
    "FeedForward": 25,
    "SimpleCNN": 431_080,
    "LeNet5": 61_706,
    "AlexNet": 61_100_840,
    "VGG11": 132_863_336,
    "VGG16": 138_357_544,
    "ResNet18": 11_689_512,
    "ResNet50": 25_557_032,
    "MobileNetV2": 3_504_872,
    "ViT": 86_567_656,
    "GPT2": 124_439_808,
}


def spec_name(path: Path) -> str:
    """How a test about a spec is called: `cnn/lenet5`."""
    return path.relative_to(ROOT / "specs").with_suffix("").as_posix()


def described(graph: Graph) -> dict[str, Any]:
    """What a graph says, without identities and places in the text: two equal descriptions are one network."""
    numbers: dict[Value, int] = {}
    for value in (*(entry.value for entry in graph.inputs), *(made for node in graph.nodes for made in node.outputs.values())):
        numbers[value] = len(numbers)

    def reads(read: Value | tuple[Value, ...]) -> Any:
        return tuple(numbers[each] for each in read) if isinstance(read, tuple) else numbers[read]

    return {
        "inputs": [(entry.name, str(entry.value.type)) for entry in graph.inputs],
        "nodes": [
            (
                repr(node.operator), node.path, {name: reads(read) for name, read in node.inputs.items()},
                {name: (str(made.type), made.label) for name, made in node.outputs.items()}, [frame.name for frame in node.frames],
            )
            for node in graph.nodes
        ],
        "outputs": {name: numbers[value] for name, value in graph.outputs.items()},
        "weights": {
            name: (tuple(map(str, entry.dims)), entry.dtype, entry.trainable, entry.module, repr(entry.initial))
            for name, entry in graph.weights.items()
        },
        "guards": [(str(guard.claim), guard.message) for guard in graph.guards],
        "symbols": {var.name: (origin.input, origin.axis) for var, origin in graph.symbols.items()},
    }  # fmt: skip
