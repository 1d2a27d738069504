"""The specs of the repository: without findings, in the canonical format, in two forms that mean the same, of published size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spec_files import PUBLISHED, ROOT, SPECS, described, spec_name

from nnspec.checker import Report, check_path, parse, read
from nnspec.syntax import tree
from nnspec.syntax.node import same_tree
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_writer import write_yaml

TORCHVISION = json.loads((ROOT / "tests/golden/torchvision_keys.json").read_text(encoding="utf-8"))["models"]
NAMED_AS_IN_TORCHVISION = {
    "alexnet": ("cnn/alexnet", "AlexNet"),
    "vgg16": ("cnn/vgg", "VGG16"),
    "resnet18": ("resnet/resnet", "ResNet18"),
    "resnet34": ("resnet/resnet", "ResNet34"),
    "resnet50": ("resnet/resnet", "ResNet50"),
    "resnet101": ("resnet/resnet", "ResNet101"),
    "vit_b_16": ("transformer/vit", "ViT"),
    "mobilenet_v2": ("cnn/mobilenet", "MobileNetV2"),
}

each_spec = pytest.mark.parametrize("path", SPECS, ids=spec_name)


def parsed(path: Path) -> tree.File:
    source, findings = read(path)
    assert source is not None
    file, more = parse(source)
    assert not findings
    assert not more
    return file


def checked(path: Path) -> Report:
    report = check_path(path)
    assert [str(finding) for finding in report.diagnostics if finding.severity != "info"] == []
    return report


@each_spec
def test_no_errors_and_no_warnings(path: Path) -> None:
    report = checked(path)
    assert report.networks or report.recipes
    assert file_recipes(report) == set(report.recipes)


def file_recipes(report: Report) -> set[str]:
    assert report.file is not None
    return {item.name.id for item in report.file.items if isinstance(item, tree.Item) and item.word.id in ("train", "agent")}


@each_spec
def test_canonical_format(path: Path) -> None:
    assert format_file(parsed(path)) == path.read_text(encoding="utf-8")


@each_spec
def test_the_first_line_says_what_it_is_and_the_second_names_the_version(path: Path) -> None:
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ")
    assert first.endswith(".")
    assert second == "spec 1"


@each_spec
def test_the_yaml_twin_is_what_convert_writes(path: Path) -> None:
    assert path.with_suffix(".yaml").read_text(encoding="utf-8") == write_yaml(parsed(path))


@each_spec
def test_both_forms_are_one_tree_with_the_same_comments(path: Path) -> None:
    assert same_tree(parsed(path), parsed(path.with_suffix(".yaml")), comments=True)


@each_spec
def test_both_forms_are_one_graph(path: Path) -> None:
    left, right = checked(path), checked(path.with_suffix(".yaml"))
    assert {name: described(graph) for name, graph in left.networks.items()} == {
        name: described(graph) for name, graph in right.networks.items()
    }
    for name, recipe in left.recipes.items():
        twin = right.recipes[name]
        assert described(recipe.training) == described(twin.training)
        assert described(recipe.evaluation) == described(twin.evaluation)
        assert recipe.settings == twin.settings


def test_every_yaml_file_has_its_nn() -> None:
    assert {path.with_suffix(".nn") for path in (ROOT / "specs").rglob("*.yaml")} == set(SPECS)


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {name: graph for path in SPECS for name, graph in checked(path).networks.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(networks: dict[str, Any], name: str) -> None:
    assert networks[name].parameter_count == PUBLISHED[name]


@each_spec
def test_every_network_ensures_its_parameter_count(path: Path) -> None:
    file = parsed(path)
    ensured = {
        item.name.id for item in file.items if isinstance(item, tree.Item) and item.word.id == "ensure" and states_count(item)
    }
    assert set(checked(path).networks) == ensured


def states_count(item: tree.Item) -> bool:
    assert isinstance(item.body, tree.Claims)
    return any(
        isinstance(claim, tree.Operation) and isinstance(claim.operands[0], tree.Name) and claim.operands[0].id == "params"
        and claim.operators == ("==",)
        for claim in item.body.claims
    )  # fmt: skip


def test_the_published_map_of_unet(networks: dict[str, Any]) -> None:
    """572 pixels a side become 388 (the paper's figure 1)."""
    from nnspec.dims import evaluate

    graph = networks["UNet2015"]
    sizes = dict.fromkeys(graph.symbols, 572)
    assert [evaluate(dim, sizes) for dim in graph.outputs["logits"].type.dims[1:]] == [2, 388, 388]


@pytest.mark.parametrize("model", TORCHVISION)
def test_names_and_shapes_of_weights_are_torchvisions(model: str) -> None:
    name, network = NAMED_AS_IN_TORCHVISION[model]
    graph = checked(ROOT / "specs" / f"{name}.nn").networks[network]
    ours: dict[str, dict[str, list[Any]]] = {"parameters": {}, "buffers": {}}
    for key, entry in graph.weights.items():
        if entry.persistent:
            ours["parameters" if entry.trainable else "buffers"][key] = list(entry.dims)
    assert ours == TORCHVISION[model]


def test_a_setting_from_outside_counts_where_the_recipe_leaves_it_out() -> None:
    report = check_path(ROOT / "specs/cnn/simple_cnn.nn", settings={"train.seed": "3", "train.epochs": "2"})
    assert report.ok
    assert [report.recipes["Digits"].settings[name] for name in ("seed", "epochs", "batch_size")] == [3, 2, 32]
