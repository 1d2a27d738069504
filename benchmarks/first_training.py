"""A small training from the command line to its report, beside a script by hand that trains the same, both as whole processes in turns.

    python benchmarks/first_training.py [--repeats 5] [--epochs 2]

What a learner waits for at first: imports, 1,437 digits of scikit-learn, a few epochs, the accuracy on the others. The script saves its weights
and draws nothing; nnspec keeps checkpoints, a log, pictures and a report as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SPEC = """network Net {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(64) -> ReLU -> Linear(10)
}
train Digit {
  data digits = Digits(test=0.2)
  logits = Net(digits.image)
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=0.1)
  batch_size 32
  epochs EPOCHS
}
"""

BY_HAND = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

found = load_digits()
x = torch.from_numpy(found.images).float().unsqueeze(1) / 16
y = torch.from_numpy(found.target).long()
train, test = random_split(TensorDataset(x, y), [1437, 360], generator=torch.Generator().manual_seed(0))
network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
for epoch in range(EPOCHS):
    for images, labels in DataLoader(train, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
with torch.no_grad():
    right = sum((network(images).argmax(1) == labels).sum().item() for images, labels in DataLoader(test, batch_size=360))
print(right / 360)
torch.save(network.state_dict(), "weights.pt")
"""


def seconds(command: list[str], folder: str) -> float:
    """The wall time of a whole process."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.nn").write_text(SPEC.replace("EPOCHS", str(options.epochs)), encoding="utf-8")
        Path(folder, "by_hand.py").write_text(BY_HAND.replace("EPOCHS", str(options.epochs)), encoding="utf-8")
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "by hand": [sys.executable, "by_hand.py"],
            "nnspec train": [sys.executable, "-m", "nnspec", "train", "model.nn", "--device", "cpu", "-q"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():  # once to fill caches of the disk and of compiled modules
            seconds(command, folder)
        for _ in range(options.repeats):
            for name, command in commands.items():
                times[name].append(seconds(command, folder))
    print(f"{options.repeats} runs each, in turns; median (least to most)")
    for name, taken in times.items():
        print(f"{name:<16}{statistics.median(taken):7.2f} s  ({min(taken):.2f} to {max(taken):.2f})")
    ratios = [hand / own for hand, own in zip(times["by hand"], times["nnspec train"], strict=True)]
    print(f"by hand over nnspec: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
