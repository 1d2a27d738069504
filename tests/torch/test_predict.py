"""New data through a trained network: prepared as the data that it learned from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from training_specs import digits, trained

from nnspec.cli import main
from nnspec.data import DataError, load
from nnspec.training import CheckpointError, RunError, predict
from nnspec.training.evaluate import restore
from nnspec.training.run_folder import RunFolder

pytestmark = pytest.mark.torch

IRIS = """
network Net { input features: float32[N, 4]
 output logits = features -> Linear(3)
 output best = argmax(logits, dim=1) }
train R {
  data iris = Iris(standardize=true, test=0.25)
  r = Net(iris.x)
  minimize cross_entropy(r.logits, iris.label)
  measure accuracy(r.logits, iris.label)
  optimizer SGD(lr=0.1)
  batch_size 10
  epochs 4
}
"""


def network_outputs(run: Path, name: str, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the network of a run gives for inputs that are ready."""
    restored = restore(RunFolder.open(run), torch.device("cpu"))
    with torch.no_grad():
        return restored.module.eval().instances[name]("inference", True, *inputs)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_tables_are_standardized_as_in_training(tmp_path: Path, name: str) -> None:
    from sklearn.datasets import load_iris

    run = trained(tmp_path, IRIS).run
    raw = load_iris().data.astype(numpy.float32)
    if name == "x.npy":
        numpy.save(tmp_path / name, raw)
    else:
        numpy.savez(tmp_path / name, x=raw, other=raw)
    found = predict(run, tmp_path / name, device="cpu")
    assert list(found) == ["logits", "best"]
    restored = restore(RunFolder.open(run), torch.device("cpu"))
    samples = torch.cat([restored.datasets["iris"].parts[part]["x"] for part in ("train", "test")])
    expected = network_outputs(run, "Net", samples)["logits"]
    torch.testing.assert_close(found["logits"].sort(0).values, expected.sort(0).values, rtol=1e-5, atol=1e-5)
    assert torch.equal(found["best"], found["logits"].argmax(1))
    ready = (torch.from_numpy(raw) - 1) / 2
    numpy.savez(tmp_path / "ready.npz", features=ready.numpy())
    torch.testing.assert_close(
        predict(run, tmp_path / "ready.npz", device="cpu")["logits"], network_outputs(run, "Net", ready)["logits"]
    )


def test_one_sample_without_the_axis_of_samples(tmp_path: Path) -> None:
    run = trained(tmp_path, IRIS).run
    numpy.save(tmp_path / "one.npy", numpy.array([5.0, 3.5, 1.4, 0.2]))
    assert predict(run, tmp_path / "one.npy", device="cpu")["logits"].shape == (1, 3)


def test_many_samples_go_through_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, IRIS).run
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(0).random((1300, 4)))
    parts = predict(run, tmp_path / "x.npy", device="cpu")["logits"]
    monkeypatch.setattr(sys.modules["nnspec.training.predict"], "_TOGETHER", 5000)
    torch.testing.assert_close(parts, predict(run, tmp_path / "x.npy", device="cpu")["logits"])


PICTURES = digits().replace("Digits(validation=0.1, test=0.7)", "Digits(validation=0.1, test=0.7, mean=0.3, std=0.4)")


def test_pictures_are_brought_to_the_range_of_the_data(tmp_path: Path) -> None:
    run = trained(tmp_path, PICTURES, epochs=1).run
    pixels = numpy.random.default_rng(0).integers(0, 256, (8, 8), dtype=numpy.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    numpy.save(tmp_path / "bytes.npy", pixels[None, None])
    ready = ((pixels / 255 - 0.3) / 0.4).astype(numpy.float32)
    numpy.savez(tmp_path / "ready.npz", image=ready[None, None])
    numpy.savez(tmp_path / "one.npz", image=ready[None])
    expected = network_outputs(run, "net", torch.from_numpy(ready)[None, None])["logits"]
    for name in ("a.png", "bytes.npy", "ready.npz", "one.npz"):
        torch.testing.assert_close(predict(run, tmp_path / name, device="cpu")["logits"], expected, rtol=1e-4, atol=1e-5)
    Image.new("RGB", (30, 20), (10, 20, 30)).save(tmp_path / "b.jpg")
    assert predict(run, tmp_path / "b.jpg", device="cpu")["logits"].shape == (1, 10)


def test_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, PICTURES, epochs=1).run
    new = tmp_path / "new"
    (new / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.png", "more/c.png")):
        Image.new("L", (8 + number, 8), 80 * number).save(new / name)
    (new / "notes.txt").write_text("no picture")
    found = predict(run, new, device="cpu")["logits"]
    for place, name in enumerate(("a.png", "b.png", "more/c.png")):
        torch.testing.assert_close(found[place : place + 1], predict(run, new / name, device="cpu")["logits"])
    assert main(["predict", str(run), "-i", str(new), "-o", str(tmp_path / "out.csv"), "--device", "cpu"]) == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "a.png", "b.png", "more/c.png"]
    capsys.readouterr()
    assert main(["predict", str(run), "-i", str(new), "--device", "cpu"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["  a.png", "  b.png", "  more/c.png"]
    (new / "out.png").symlink_to(tmp_path / "elsewhere.png")
    Image.new("L", (8, 8)).save(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match="is a link that leads out of"):
        predict(run, new, device="cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no pictures"):
        predict(run, tmp_path / "empty", device="cpu")


def test_pictures_of_different_sizes_for_a_network_that_takes_any(tmp_path: Path) -> None:
    free = PICTURES.replace("8, 8]", "H, W]").replace("Flatten", "AdaptiveAvgPool2d(1) -> Flatten")
    assert free != PICTURES
    run = trained(tmp_path, free, epochs=1).run
    (tmp_path / "new").mkdir()
    for name, width in (("a.png", 8), ("b.png", 12)):
        Image.new("L", (width, 8)).save(tmp_path / "new" / name)
    with pytest.raises(DataError, match=r"a\.png has 8 x 8 pixels and b\.png has 12 x 8 pixels: bring"):
        predict(run, tmp_path / "new", device="cpu")
    assert predict(run, tmp_path / "new" / "b.png", device="cpu")["logits"].shape == (1, 10)


TABLE = """
network Net { input x: float32[N, 3]
 output logits = x -> Linear(2) }
train R {
  data d = CSV("t.csv", delimiter=";") {
    column a, b: float32
    column kind: category("u", "v") = "u"
    column label: index(2)
    output x = stack([a, b * 2, float32(kind)], dim=1)
    output label
  }
  logits = Net(d.x)
  minimize cross_entropy(logits, d.label)
  optimizer SGD(lr=0.1)
  batch_size 10
  epochs 2
}
"""


def test_tables_go_through_the_body_of_the_data(tmp_path: Path) -> None:
    rows = "".join(f"{each};{each + 0.5};{'uv'[each % 2]};{each % 2}\n" for each in range(20))
    (tmp_path / "t.csv").write_text("a;b;kind;label\n" + rows)
    run = trained(tmp_path, TABLE).run
    (tmp_path / "new.csv").write_text("kind;b;a\nv;2;1\n;4;3\n")
    expected = network_outputs(run, "Net", torch.tensor([[1.0, 4.0, 1.0], [3.0, 8.0, 0.0]]))["logits"]
    torch.testing.assert_close(predict(run, tmp_path / "new.csv", device="cpu")["logits"], expected)
    numpy.savez(tmp_path / "new.npz", a=numpy.array([1, 3]), b=numpy.array([2.0, 4.0]), kind=numpy.array([1, 0]))
    torch.testing.assert_close(predict(run, tmp_path / "new.npz", device="cpu")["logits"], expected)
    for content, said in [
        ("a;b\n1;2\n", "has no column `kind`"),
        ("a,b,kind\n1,2,u\n", "its first line has a,b,kind; it looks divided by ',', and `delimiter` says otherwise"),
        ("a;b;kind\n1;x;u\n", 'line 2, column `b`: "x" is not a number'),
        ("a;b;kind\n1;2;w\n", '"w" is none of u, v'),
    ]:
        (tmp_path / "new.csv").write_text(content)
        with pytest.raises(DataError, match=said):
            predict(run, tmp_path / "new.csv", device="cpu")
    numpy.savez(tmp_path / "new.npz", a=numpy.array([1]), b=numpy.array([2.0]), kind=numpy.array([7]))
    with pytest.raises(DataError, match="holds values from 7 to 7"):
        predict(run, tmp_path / "new.npz", device="cpu")


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    run = trained(tmp_path, IRIS).run
    for name, array, said in [
        ("a.npy", numpy.ones((2, 5)), r"has the shape \[2, 5\], and the network takes float32\[N, 4\]"),
        ("a.npy", numpy.array(["a"]), "holds <U1, not numbers"),
        ("a.npy", numpy.array([[1, 2, 3, numpy.nan]]), "holds NaN or infinity"),
        ("a.npy", numpy.array([object()]), "cannot be read as an .npy file"),
    ]:
        numpy.save(tmp_path / name, array, allow_pickle=True)
        with pytest.raises(DataError, match=said):
            predict(run, tmp_path / name, device="cpu")
    numpy.savez(tmp_path / "a.npz", z=numpy.ones((2, 4)))
    with pytest.raises(DataError, match="has none of `x`, `features`; it has z"):
        predict(run, tmp_path / "a.npz", device="cpu")
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(DataError, match=r"is neither .npy, .npz, .csv, .tsv, .parquet nor a picture"):
        predict(run, tmp_path / "a.txt", device="cpu")
    (tmp_path / "a.csv").write_text("x\n1")
    with pytest.raises(DataError, match="is a table, and `iris` comes from Iris"):
        predict(run, tmp_path / "a.csv", device="cpu")
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="is a picture, and"):
        predict(run, tmp_path / "a.png", device="cpu")
    with pytest.raises(DataError, match="is not there"):
        predict(run, tmp_path / "nothing.npy", device="cpu")
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"cannot be read as an \.npy file"):
        predict(run, tmp_path / "b.npy", device="cpu")


def test_runs_that_cannot_predict(tmp_path: Path) -> None:
    run = trained(tmp_path, IRIS).run
    numpy.save(tmp_path / "x.npy", numpy.ones((2, 4)))
    with pytest.raises(RunError, match="the run has no network `Other`; it has Net"):
        predict(run, tmp_path / "x.npy", network="Other")
    (run / "spec" / "model.nn").write_text(IRIS.replace("Linear(3)", "Linear(7) -> Linear(3)"))
    with pytest.raises(CheckpointError, match="does not fit the network `Net`"):
        predict(run, tmp_path / "x.npy", device="cpu")


def test_predictions_are_those_that_were_measured(tmp_path: Path) -> None:
    result = trained(tmp_path, IRIS)
    data = load(restore(RunFolder.open(result.run), torch.device("cpu")).recipe.sources["iris"], tmp_path)
    fitted = data.fitted["standardize"]
    raw = data.parts["test"]["x"].double() * torch.tensor(fitted["std"]) + torch.tensor(fitted["mean"])
    numpy.save(tmp_path / "x.npy", raw.numpy())
    best = predict(result.run, tmp_path / "x.npy", device="cpu")["best"]
    assert float((best == data.parts["test"]["label"]).double().mean()) == pytest.approx(result.metrics["accuracy"])
