"""Checkpoints: headers are read with limits, and nothing of a file is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from difference_pairs import MLP, PAIRS, Pair, edited, network

from nnspec.difference import checkpoints
from nnspec.difference.checkpoints import best_network, compare_checkpoint, read_header, tensor_files
from nnspec.errors import UsageError


def safetensors(path: Path, tensors: dict[str, tuple[int, ...]]) -> Path:
    """A file with these tensors, all zeros."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, sizes in tensors.items():
        size = 4
        for each in sizes:
            size *= each
        header[name] = {"dtype": "F32", "shape": list(sizes), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))
    return path


def weights_of(text: str) -> dict[str, tuple[int, ...]]:
    return {each.before: tuple(json.loads(each.old_shape)) for each in network(Pair(text, text)).weights.all}


def test_names_and_sizes(tmp_path: Path) -> None:
    tensors = {"a.weight": (3, 4), "a.bias": (3,), "count": ()}
    assert read_header(str(safetensors(tmp_path / "x.safetensors", tensors))) == tensors


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "length of a header"),
        (b"PK\x03\x04 a zip", "length of a header"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "length of a header"),
        ((2).to_bytes(8, "little") + b"{{", "not JSON"),
        ((4000).to_bytes(8, "little") + b"[" * 4000, "not JSON"),
        ((2).to_bytes(8, "little") + b"[]", "no table"),
        ((10).to_bytes(8, "little") + b'{"a": "b"}', "no sizes for `a`"),
        ((22).to_bytes(8, "little") + b'{"a": {"shape": [-1]}}', "no sizes for `a`"),
        ((24).to_bytes(8, "little") + b'{"a": {"shape": [true]}}', "no sizes for `a`"),
        ((8).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", "not JSON"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=reason):
        read_header(str(path))


def test_a_header_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = safetensors(tmp_path / "x.safetensors", {"a": (2,), "b": (2,)})
    monkeypatch.setattr(checkpoints, "MOST_TENSORS", 1)
    with pytest.raises(UsageError, match="at most 1 tensors"):
        read_header(str(path))
    monkeypatch.setattr(checkpoints, "MOST_HEADER_BYTES", 10)
    with pytest.raises(UsageError, match="length of a header"):
        read_header(str(path))


def test_a_missing_file() -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_header("nowhere.safetensors")


def test_names_are_taken_to_their_layers() -> None:
    found = compare_checkpoint("x", weights_of(MLP), network(PAIRS["trap"]))
    assert found.mapping["0.weight"] == "2.weight"
    assert found.mapping["6.weight"] == "8.weight"
    assert found.missing == ("0.weight", "0.bias")


def test_sizes_decide() -> None:
    tensors = weights_of(MLP) | {"0.weight": (64, 32), "left.over": (3,)}
    found = compare_checkpoint("x", tensors, network(Pair(MLP, MLP)))
    assert {each.before: each.fate for each in found.weights if not each.loads} == {"0.weight": "resized", "left.over": "removed"}


def test_a_prefix_is_left_off() -> None:
    tensors = {f"module.{name}": sizes for name, sizes in weights_of(MLP).items()}
    found = compare_checkpoint("x", tensors, network(PAIRS["trap"]))
    assert found.prefix == "module."
    assert found.mapping["module.0.weight"] == "2.weight"


def test_weights_of_the_new_network_load_as_well() -> None:
    """A checkpoint that was made with the new spec already."""
    pair = edited(MLP, ("Linear(10)", "Linear(10) as fc"))
    found = compare_checkpoint("x", weights_of(pair.after), network(pair))
    assert all(each.loads for each in found.weights)
    assert found.missing == ()


def test_the_network_with_most_names() -> None:
    one, other = network(PAIRS["trap"]), network(PAIRS["widen"])
    assert best_network(weights_of(MLP), [other, one]) is one
    assert best_network({"elsewhere": ()}, [other, one]) is None


def test_the_newest_checkpoint_of_a_run(tmp_path: Path) -> None:
    for step in ("step_2", "step_10"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)
        safetensors(tmp_path / "checkpoints" / step / "network.A.safetensors", {"x": ()})
        safetensors(tmp_path / "checkpoints" / step / "optimizer.safetensors", {"y": ()})
    assert tensor_files(str(tmp_path)) == {"A": str(tmp_path / "checkpoints/step_10/network.A.safetensors")}
    (tmp_path / "checkpoints/latest").write_text("step_2", encoding="utf-8")
    assert tensor_files(str(tmp_path)) == {"A": str(tmp_path / "checkpoints/step_2/network.A.safetensors")}
    (tmp_path / "checkpoints/latest").write_text("../../elsewhere", encoding="utf-8")
    assert tensor_files(str(tmp_path))["A"].startswith(str(tmp_path / "checkpoints/step_10"))


def test_a_folder_without_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no safetensors file"):
        tensor_files(str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UsageError, match="holds no checkpoint"):
        tensor_files(str(tmp_path))


@pytest.mark.torch
def test_what_safetensors_writes_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    import nnspec

    state = nnspec.compile(MLP).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "x.safetensors")
    assert read_header(str(tmp_path / "x.safetensors")) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert torch.__version__
