"""A small project with findings of every kind, for the tests of `nnspec.project` and of the command line."""

from __future__ import annotations

from pathlib import Path

LIB = """\
# Parts that others use.
block Unit(width: int) {
  input x: float32[N, T, D]
  output x -> LSTM(width, dropout=0.1) -> Linear(width)
}

block Narrow(width: int) {
  input x: float32[N, D]
  output x -> Linear(width, in_features=7)
}
"""
USER = """\
use Unit from "lib.nn"

network {name} {{
  input x: float32[N, T, 4]
  unused = x -> ReLU
  output y = x -> Unit(3)
}}
"""
BROKEN_USER = """\
use Narrow from "lib.nn"

network Broken {
  input x: float32[N, 5]
  output y = x -> Narrow(4) -> Linaer(3)
}
"""
NARROW = """\
network Narrow {
  input image: float32[N, 3, H, W]
  small = image -> MaxPool2d(2)
  output y = image + (small -> Upsample(scale_factor=2))
}
"""
SUPPRESSED = """\
network Quiet {
  input x: float32[N, 4]
  spare = x -> ReLU  # nnspec: ignore[NN601]: kept for the paper
  output y = x -> Linear(3)
}
"""
TWIN = """\
network Twin:
  input x: float32[N, 4]
  spare: [x, ReLU]
  output y: [x, {Linear: 3}]
"""
SOUND = """\
network Sound(width: int = 3) {
  input x: float32[N, 4]
  output y = x -> Linear(width)
}
"""
FILES: dict[str, str | bytes] = {
    "broken.nn": BROKEN_USER,
    "first.nn": USER.format(name="First"),
    "lib.nn": LIB,
    "narrow.nn": NARROW,
    "quiet.nn": SUPPRESSED,
    "second.nn": USER.format(name="Second"),
    "sound.nn": SOUND,
    "sub/bytes.nn": b"network A {\xff}\n",
    "sub/twin.yaml": TWIN,
    "sub/odd näme.nn": "network A {\n  input x: float32[N, 4\n}\n",
}
FORMATS = ("full", "concise", "json", "github", "gitlab", "junit", "sarif")


def plant(folder: Path, *names: str) -> None:
    """Write the files of the project, or some of them, and an empty settings file, by which its folder is a project."""
    for name in names or FILES:
        path = folder / name
        text = FILES[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "nnspec.toml").touch()
