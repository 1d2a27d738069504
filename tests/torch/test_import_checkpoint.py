"""Checkpoints of known layout: the network and its parameters are found, what is in the way is said, and pickles are kept out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_networks import SPECS

from nnspec.checker import Report, check_path
from nnspec.cli import main
from nnspec.importing import ImportRefused
from nnspec.importing.checkpoint import read_pickled
from nnspec.importing.layout import Match, best_match
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch


def reports() -> list[Report]:
    names = ("resnet/resnet.nn", "cnn/simple_cnn.nn", "mlp/mlp.nn", "transformer/gpt2.nn", "cnn/lenet5.nn")
    return [check_path(SPECS / name) for name in names]


def shapes(spec: str, network: str, **parameters: Any) -> dict[str, tuple[int, ...]]:
    graph = check_path(SPECS / spec).graph(network, **parameters)
    return {name: tuple(map(int, entry.dims)) for name, entry in graph.weights.items() if entry.persistent}  # type: ignore[arg-type]


def found(given: dict[str, tuple[int, ...]]) -> Match:
    match = best_match(given, reports())
    assert match is not None
    return match


@pytest.mark.parametrize(("spec", "network", "parameters"), [
    ("resnet/resnet.nn", "ResNet18", {}), ("resnet/resnet.nn", "ResNet50", {"classes": 7}),
    ("mlp/mlp.nn", "MLP", {"widths": [96, 48], "classes": 4}), ("cnn/simple_cnn.nn", "SimpleCNN", {"classes": 26}),
    ("transformer/gpt2.nn", "GPT2", {"vocab": 65, "context": 64, "width": 128, "depth": 4, "heads": 4}),
])  # fmt: skip
def test_network_and_parameters_are_found(spec: str, network: str, parameters: dict[str, Any]) -> None:
    match = found(shapes(spec, network, **parameters))
    assert match.graph.name == network
    assert match.is_whole
    assert match.parameters == parameters
    assert match.extra == ()


def test_a_prefix_is_left_off_and_a_missing_weight_is_named() -> None:
    given = {f"module.{name}": sizes for name, sizes in shapes("resnet/resnet.nn", "ResNet18").items()}
    assert found(given).is_whole
    del given["module.fc.bias"]
    given["module.other"] = (3,)
    match = found(given)
    assert match.missing == ("fc.bias",)
    assert match.extra == ("module.other",)


def test_parameters_that_weights_do_not_tell_are_said() -> None:
    match = found(shapes("transformer/gpt2.nn", "GPT2", vocab=65, context=64, width=96, depth=2))
    assert "heads" in match.open_parameters
    assert "width" not in match.open_parameters


def test_nothing_like_it() -> None:
    assert best_match({"a.b": (3,), "c.d": (4, 5)}, reports()) is None


def test_import_writes_a_spec_and_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    graph = check_path(SPECS / "cnn/lenet5.nn").graph("LeNet5", classes=26)
    state = lower(graph, seed=3).state_dict()
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "letters.safetensors")
    spec = tmp_path / "out" / "letters.nn"
    assert main(["import", str(tmp_path / "letters.safetensors"), "-o", str(spec), "-q"]) == 0
    assert "its layout is that of LeNet5(classes=26)" in capsys.readouterr().out
    report = check_path(spec)
    assert report.ok
    assert report.default_network == "LeNet5Imported"
    loaded = load_file(spec.with_suffix(".safetensors"))
    again = lower(report.graph(), guards=False, state=loaded)
    image = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(again.eval()(image), lower(graph, guards=False, state=state).eval()(image))


def test_a_pickle_needs_trust(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.pt"
    torch.save({"state_dict": {"fc.weight": torch.zeros(2, 3)}}, path)
    assert main(["import", str(path)]) == 2
    assert "is a pickle" in capsys.readouterr().err
    assert read_pickled(str(path)).keys() == {"fc.weight"}


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2), "evil": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(ImportRefused, match="holds other things than weights"):
        read_pickled(str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(ImportRefused, match="would become 10,000,000"):
        read_pickled(str(path))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.pt").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ImportRefused, match=r"is no archive of torch\.save"):
        read_pickled(str(tmp_path / "old.pt"))
