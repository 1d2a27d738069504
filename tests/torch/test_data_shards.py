"""Arrays in many files: the same samples, order and bits as in memory, in less of it."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.numpy import save_file
from training_specs import checked, source, trained, weights

from nnspec.data import DataError, Dataset, load
from nnspec.data.shards import Sharded
from nnspec.training import train
from nnspec.training.ahead import made_ahead

pytestmark = pytest.mark.torch

COLUMNS = "column x: float32[3]\n column y: index(4)\n output x, y"


def samples(count: int = 50) -> dict[str, numpy.ndarray]:
    draws = numpy.random.default_rng(1)
    return {"x": draws.standard_normal((count, 3)).astype(numpy.float32), "y": draws.integers(0, 4, count)}


def write(
    folder: Path, arrays: dict[str, numpy.ndarray], cuts: tuple[int, ...] = (0, 7, 8, 31, 50), suffix: str = ".npz"
) -> None:
    for number, (low, high) in enumerate(pairwise(cuts)):
        piece = {name: numpy.ascontiguousarray(array[low:high]) for name, array in arrays.items()}
        if suffix == ".npz":
            numpy.savez(folder / f"part-{number}.npz", **piece)
        else:
            save_file(piece, folder / f"part-{number}.safetensors")


def read(folder: Path, suffix: str = ".npz", columns: str = COLUMNS, settings: str = "") -> Dataset:
    return load(source(folder, f'Shards("part-*{suffix}"{settings}) {{{columns}}}'), folder)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_rows_are_those_of_the_files(tmp_path: Path, suffix: str) -> None:
    arrays = samples()
    write(tmp_path, arrays, suffix=suffix)
    rows = read(tmp_path, suffix).parts["train"]["x"]
    whole = torch.from_numpy(arrays["x"])
    assert isinstance(rows, Sharded)
    assert torch.equal(rows[:], whole)
    assert torch.equal(rows[5:33], whole[5:33])
    for chosen in ([49, 0, 8, 7, 7, 30], [3], []):
        assert torch.equal(rows.index_select(0, torch.tensor(chosen, dtype=torch.int64)), whole[chosen])


def test_numbers_are_held_in_memory_and_a_split_goes_by_them(tmp_path: Path) -> None:
    arrays = samples()
    write(tmp_path, arrays)
    found = read(tmp_path, columns=COLUMNS + "\n split (test=0.2, stratify=y, seed=3)")
    assert isinstance(found.parts["train"]["y"], torch.Tensor)
    both = torch.cat([found.parts[part]["x"][:] for part in ("train", "test")])
    assert sorted(both[:, 0].tolist()) == sorted(arrays["x"][:, 0].tolist())


SPEC = """
network Net { input x: float32[N, 3]
 output logits = x -> Linear(8) -> ReLU -> Dropout(0.2) -> Linear(4) }
train R {
  data d = SOURCE {
    column x: float32[3]
    column y: index(4)
    output x = 2 * x
    output y
    split (validation=0.2, seed=1)
  }
  logits = Net(d.x)
  minimize cross_entropy(logits, d.y)
  measure accuracy(logits, d.y)
  optimizer Adam(lr=0.01)
  batch_size 8
  epochs 4
}
"""


def test_training_has_the_bits_of_one_in_memory_and_goes_on_with_them(tmp_path: Path) -> None:
    arrays = samples()
    write(tmp_path, arrays)
    numpy.savez(tmp_path / "whole.npz", **arrays)
    sharded = SPEC.replace("SOURCE", 'Shards("part-*.npz")')
    in_memory = trained(tmp_path, SPEC.replace("SOURCE", 'NPZ("whole.npz")'))
    streamed = trained(tmp_path, sharded)
    begun = trained(tmp_path, sharded, epochs=2)
    gone_on = train(checked(tmp_path, sharded, epochs=4), device="cpu", resume=begun.run, out=tmp_path / "runs")
    ahead = trained(tmp_path, sharded, workers=3)
    for name, tensor in weights(in_memory.run).items():
        assert torch.equal(tensor, weights(streamed.run)[name])
        assert torch.equal(tensor, weights(ahead.run)[name])
        assert torch.equal(tensor, weights(gone_on.run)[name])


CHILD = """
import json, resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from nnspec.checker import check_path
from nnspec.training import train
import nnspec.training.pictures
folder = Path(sys.argv[1])
report = check_path(folder / (sys.argv[2] + ".nn"))
assert report.ok, report.diagnostics
train(check_path(folder / "warm.nn"), device="cpu", out=folder / "warm")  # what is imported and kept for good, before the limit
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
limit = used + (int(sys.argv[3]) << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
result = train(report, device="cpu", out=folder / "runs")
print(json.dumps(result.final.figures))
"""
LARGE = """
network Net { input x: float32[N, 4096]
 output y = x -> Linear(1) -> squeeze(1) }
train R {
  data d = SOURCE { column x: float32[4096]
    output x }
  minimize mean(Net(d.x) ** 2)
  optimizer SGD(lr=1e-4)
  batch_size 64
  epochs 1
}
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is Linux's")
def test_more_data_than_memory(tmp_path: Path) -> None:
    """96 MB of samples with 48 MB of memory beyond what the process has at first; in memory they do not fit."""
    draws = numpy.random.default_rng(0)
    whole = draws.standard_normal((6_000, 4_096), dtype=numpy.float32)
    numpy.savez(tmp_path / "whole.npz", x=whole)
    for number in range(6):
        numpy.savez(tmp_path / f"part-{number}.npz", x=whole[number * 1_000 : (number + 1) * 1_000])
    numpy.savez(tmp_path / "few.npz", x=whole[:200])
    (tmp_path / "warm.nn").write_text(LARGE.replace("SOURCE", 'NPZ("few.npz")'))
    (tmp_path / "streamed.nn").write_text(LARGE.replace("SOURCE", 'Shards("part-*.npz")'))
    (tmp_path / "held.nn").write_text(LARGE.replace("SOURCE", 'NPZ("whole.npz")'))

    def run(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path), name, "48"], capture_output=True, text=True, check=False
        )

    streamed = run("streamed")
    assert streamed.returncode == 0, streamed.stderr
    assert "loss" in json.loads(streamed.stdout)
    assert run("held").returncode != 0


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_wrong_values_are_named_with_file_and_sample(tmp_path: Path, suffix: str) -> None:
    arrays = samples()
    arrays["x"][35, 1] = numpy.nan
    write(tmp_path, arrays, suffix=suffix)
    with pytest.raises(DataError, match=rf"`x` of .*part-3{suffix} holds NaN or infinity, first in sample 4"):
        read(tmp_path, suffix)
    arrays = samples()
    arrays["y"][9] = 4
    write(tmp_path, arrays, suffix=suffix)
    with pytest.raises(
        DataError, match=rf"`y` of .*part-2{suffix} holds values from 0 to 4, declared are 0 to 3, first in sample 1"
    ):
        read(tmp_path, suffix)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    arrays = samples()
    with pytest.raises(DataError, match=r"has no file that `part-\*.npz` stands for; it has model.nn"):
        read(tmp_path)
    write(tmp_path, arrays)
    numpy.savez(tmp_path / "part-2.npz", x=arrays["x"][:3, :2], y=arrays["y"][:3])
    with pytest.raises(DataError, match=r"`x` of .*part-2.npz has the shape \[3, 2\], declared is \[N, 3\]"):
        read(tmp_path)
    numpy.savez(tmp_path / "part-2.npz", x=arrays["x"][:3].astype(numpy.float64), y=arrays["y"][:3])
    with pytest.raises(DataError, match=r"part-2.npz holds float64, and part-0.npz float32"):
        read(tmp_path)
    numpy.savez(tmp_path / "part-2.npz", x=arrays["x"][:3], y=arrays["y"][:2])
    with pytest.raises(DataError, match=r"part-2.npz differ in their number of samples"):
        read(tmp_path)
    numpy.savez(tmp_path / "part-2.npz", x=arrays["x"][:3])
    with pytest.raises(DataError, match=r"part-2.npz has no array `y`; it has x"):
        read(tmp_path)
    numpy.savez_compressed(tmp_path / "part-2.npz", x=arrays["x"][:3], y=arrays["y"][:3])
    with pytest.raises(DataError, match=r"part-2.npz is compressed"):
        read(tmp_path)
    numpy.savez(tmp_path / "part-2.npz", x=numpy.asfortranarray(arrays["x"][:3]), y=arrays["y"][:3])
    with pytest.raises(DataError, match=r"`x` of .*part-2.npz is stored column by column"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_that_are_cut_off_or_nothing(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, samples(), suffix=suffix)
    file = tmp_path / f"part-2{suffix}"
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 90):
        file.write_bytes(content)
        with pytest.raises(DataError, match=f"part-2{suffix}"):
            read(tmp_path, suffix)


def test_files_that_shrink_while_they_are_read(tmp_path: Path) -> None:
    write(tmp_path, samples())
    rows = read(tmp_path).parts["train"]["x"]
    (tmp_path / "part-3.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"part-3.npz ends in sample"):
        rows[40:45]
    with pytest.raises(DataError, match=r"part-3.npz ends in sample"):
        list(made_ahead(lambda low: rows[low : low + 1], range(50), 2))
