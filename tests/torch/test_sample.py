"""`sample` items: what they see, what they draw, and what is said where they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch
from training_specs import Listener, checked, trained, weights

from nnspec.cli import main
from nnspec.data import DataError
from nnspec.training import RunError, sample
from nnspec.training.sheets import arranged, is_pictures

pytestmark = pytest.mark.torch

SPEC = """
network Coder(width: int = 4) {
  input x: float32[N, 64]
  layer decoder = Linear(16) -> ReLU -> Linear(64)
  output code = x -> Linear(width) -> Dropout(0.5)
  output logits = decoder(code)
}
train Coder {
  data digits = Digits()
  x = flatten(digits.image, 1)
  minimize mse_loss(Coder(x).logits, x)
  optimizer Adam(lr=1e-2)
  batch_size 64
  epochs 1
}
sample Coder {
  input spread: float = 1.0
  output image = spread * normal[N, 4] -> Coder.decoder -> unflatten(1, [1, 8, 8])
}
sample Again {
  code = Coder(flatten(digits.image, 1)).code
  output image = concat(digits.image, Coder.decoder(code) -> unflatten(1, [1, 8, 8]), dim=3)
  output label = digits.label
}
sample Between {
  input a, b: float32[1, 64]
  t = linspace(0, 1, N) -> unsqueeze(1)
  output picture = Coder.decoder((1 - t) * Coder(a).code + t * Coder(b).code)
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("coder"), SPEC).run


def decoded(run: Path, code: torch.Tensor) -> torch.Tensor:
    found = {name.removeprefix("network.Coder/"): value for name, value in weights(run).items()}
    hidden = torch.relu(code @ found["decoder.0.weight"].T + found["decoder.0.bias"])
    return hidden @ found["decoder.2.weight"].T + found["decoder.2.bias"]


def coded(run: Path, x: torch.Tensor) -> torch.Tensor:
    found = {name.removeprefix("network.Coder/"): value for name, value in weights(run).items()}
    return x @ found["code.0.weight"].T + found["code.0.bias"]


def test_a_layer_by_itself_on_draws(run: Path) -> None:
    (drawn,) = sample(run, "Coder", count=5, seed=3, settings={"spread": 0.5})
    torch.manual_seed(3)
    expected = decoded(run, 0.5 * torch.randn(5, 4)).reshape(5, 1, 8, 8)
    assert torch.allclose(drawn.outputs["image"], expected, atol=1e-6)


def test_the_data_that_is_measured_last_in_inference_mode(run: Path) -> None:
    (drawn,) = sample(run, "Again", count=7)
    original, again = drawn.outputs["image"].split(8, dim=3)
    assert torch.allclose(again.flatten(1), decoded(run, coded(run, original.flatten(1))), atol=1e-5)
    assert drawn.outputs["label"].shape == (7,)
    (more,) = sample(run, "Again", count=9)
    assert torch.allclose(more.outputs["image"][:7], drawn.outputs["image"], atol=1e-5)


def test_tensors_from_files(run: Path, tmp_path: Path) -> None:
    a, b = torch.rand(1, 64), torch.rand(1, 64)
    numpy.save(tmp_path / "a.npy", a.numpy())
    numpy.savez(tmp_path / "b.npz", b=b.numpy())
    (drawn,) = sample(run, "Between", count=3, inputs={"a": tmp_path / "a.npy", "b": tmp_path / "b.npz"})
    middle = decoded(run, (coded(run, a) + coded(run, b)) / 2)
    assert torch.allclose(drawn.outputs["picture"][1], middle[0], atol=1e-5)


def test_what_is_wrong_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no sample `Codr`; it has Coder, Again, Between"):
        sample(run, "Codr")
    with pytest.raises(
        DataError, match=r"asks for `a`: float32\[1, 64\] and `b`: float32\[1, 64\]: give a file with --input a=FILE.npy"
    ):
        sample(run, "Between")
    numpy.save(tmp_path / "a.npy", numpy.zeros((2, 64), dtype="float32"))
    with pytest.raises(DataError, match=r"`a` of the sample `Between` is float32\[1, 64\], and \[2, 64\] was given"):
        sample(run, "Between", inputs={"a": tmp_path / "a.npy", "b": tmp_path / "a.npy"})
    with pytest.raises(RunError, match=r"no sample asks for `c`"):
        sample(run, "Coder", inputs={"c": tmp_path / "a.npy"})
    with pytest.raises(DataError, match=r"359 test samples, and 400 are wanted"):
        sample(run, "Again", count=400)
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match=r"text.npy cannot be read for `a`"):
        sample(run, "Between", inputs={"a": tmp_path / "text.npy", "b": tmp_path / "text.npy"})


def test_a_run_without_samples(tmp_path: Path) -> None:
    run = trained(tmp_path, SPEC[: SPEC.index("sample Coder")]).run
    with pytest.raises(RunError, match=r"has no `sample` item for the recipe `Coder`"):
        sample(run)


def test_training_draws_what_needs_nothing_from_outside(tmp_path: Path) -> None:
    listener = Listener()
    run = trained(tmp_path, SPEC, progress=listener).run
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "Again.image.png",
        "Again.npz",
        "Coder.image.png",
        "Coder.npz",
    ]
    assert sum("samples: " in each for each in listener.messages) == 2


def test_samples_change_nothing_of_the_training(tmp_path: Path) -> None:
    """Neither the first weights nor the draws of a training depend on what is drawn from it later."""
    with_samples = trained(tmp_path, SPEC).run
    other = tmp_path / "other"
    other.mkdir()
    without = trained(other, SPEC[: SPEC.index("sample Coder")]).run
    ours, theirs = weights(with_samples), weights(without)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run), "--sample", "Coder", "-n", "4", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Coder.image: 4 pictures, 8 x 8, values ")
    assert "Coder.image.png" in shown.err
    assert main(["sample", str(run), "--sample", "Coder", "-n", "4", "--json", "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["Coder"]["outputs"] == {"image": {"dtype": "float32", "shape": [4, 1, 8, 8]}}
    assert numpy.load(tmp_path / "out" / "Coder.npz")["image"].shape == (4, 1, 8, 8)
    assert main(["sample", str(run), "--set", "spred=2"]) == 2


def test_a_sheet() -> None:
    pictures = torch.zeros(5, 1, 28, 28)
    pictures[1] = 1.0
    sheet = arranged(pictures)
    assert sheet.shape == (2 * 59 + 3, 3 * 59 + 3, 3)
    assert sheet[3, 3].tolist() == [0, 0, 0]
    assert sheet[3, 3 + 59].tolist() == [255, 255, 255]
    assert sheet[-1, -1].tolist() == [255, 255, 255]
    assert arranged(torch.full((1, 3, 28, 28), -0.5))[10, 10].tolist() == [64, 64, 64]
    assert not is_pictures(torch.zeros(5, 2, 28, 28))
    assert not is_pictures(torch.zeros(0, 1, 28, 28))


def test_a_network_stands_for_its_one_instance(tmp_path: Path) -> None:
    text = SPEC.replace("  x = flatten(digits.image, 1)\n", "  layer net = Coder(width=4)\n  x = flatten(digits.image, 1)\n")
    (drawn,) = sample(
        trained(tmp_path, text.replace("minimize mse_loss(Coder(x)", "minimize mse_loss(net(x)")).run, "Coder", count=2
    )
    assert drawn.outputs["image"].shape == (2, 1, 8, 8)


def test_gaps_in_a_sample_are_findings(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"NN413 no recipe is called `Codes`"):
        checked(
            tmp_path,
            SPEC
            + "\nnetwork Other { input x: float32[N, 4]; output y = x -> Linear(2) }\nsample Codes { output y = Other(normal[N, 4]) }\n",
        )
