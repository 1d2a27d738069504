"""Files that lie, that are bombs, that would run code or lead out of their folder: each with the command that is given them.

Each case changes a small project (a spec, its data, a finished run), and says what to run there. All have to end as a clear error.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch

SPEC = """network Net {
  input x: float32[N, 2]
  output y: float32[N, 2] = x -> Linear(4) -> ReLU -> Linear(2)
}
train R {
  data d = CSV("t.csv") {
    column a: float32
    column b: float32
    column c: index(2)
    output x = stack([a, b], dim=1)
    output c
  }
  layer net = Net
  minimize cross_entropy(net(d.x), d.c)
  optimizer SGD(lr=0.1)
  LOAD
  batch_size 4
  epochs 2
}
"""
TABLE = "a,b,c\n" + "".join(f"{i / 8},{1 - i / 8},{i % 2}\n" for i in range(8))
IMAGES = """network Net { input x: float32[N, 1, 8, 8]; output y: float32[N, 2] = x -> Flatten -> Linear(2) }
train R {
  data d = DATA
  layer net = Net
  minimize cross_entropy(net(d.image), d.label)
  optimizer SGD(lr=0.1)
  epochs 1
}
"""
#: Where code that is run would leave a mark, and what must not change, beside the project.
CANARY, OUTSIDE = "canary", "outside"

Case = Callable[[Path], list[str]]
TRAIN = ["train", "model.nn", "--output", "new", "--device", "cpu"]
RESUME = ["train", "model.nn", "--resume", "run", "--device", "cpu", "--set", "train.epochs=3"]
EVALUATE, EXPORT = ["evaluate", "run", "--device", "cpu"], ["export", "run", "--to", "safetensors", "--output", "out.safetensors"]


class Payload:
    """A pickle of this leaves the mark."""

    def __init__(self, folder: Path) -> None:
        self.mark = str(folder / CANARY)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


def spec(root: Path, load: str = "") -> None:
    (root / "model.nn").write_text(SPEC.replace("LOAD", load))


# --- safetensors ------------------------------------------------------------------------------------------------------------------


def tensors(header: Any, body: bytes = b"", size: int | None = None) -> bytes:
    """A file with this header, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def _entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def _pickled(root: Path) -> bytes:
    return pickle.dumps(Payload(root.parent))


def _zipped_pickle(root: Path) -> bytes:
    """As torch.save writes one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(root))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


GOOD = {
    "0.weight": _entry([4, 2], 0, 32),
    "0.bias": _entry([4], 32, 48),
    "2.weight": _entry([2, 4], 48, 80),
    "2.bias": _entry([2], 80, 88),
}
BODY = bytes(88)
SAFETENSORS: dict[str, Callable[[Path], bytes]] = {
    "a header of 2 ** 63 bytes": lambda root: tensors(b"{}", size=1 << 63),
    "a header of 2 ** 64 - 1 bytes": lambda root: tensors(b"{}", size=(1 << 64) - 1),
    "a header beyond the end": lambda root: tensors(GOOD, BODY, size=10_000),
    "a tensor of 4 TB": lambda root: tensors({**GOOD, "2.bias": _entry([1 << 40], 80, 80 + (4 << 40))}, BODY),
    "tensors that overlap": lambda root: tensors({**GOOD, "0.bias": _entry([4], 16, 32)}, BODY),
    "a hole": lambda root: tensors({**GOOD, "2.bias": _entry([2], 88, 96)}, BODY + bytes(8)),
    "bytes after the end": lambda root: tensors(GOOD, BODY + bytes(100)),
    "a shape that overflows": lambda root: tensors({**GOOD, "2.bias": _entry([1 << 62, 1 << 62], 80, 88)}, BODY),
    "a size below zero": lambda root: tensors({**GOOD, "2.bias": _entry([-2], 80, 88)}, BODY),
    "offsets in the wrong order": lambda root: tensors({**GOOD, "2.bias": _entry([2], 88, 80)}, BODY),
    "100,000 brackets": lambda root: tensors(b"[" * 100_000),
    "100,000 objects": lambda root: tensors(b'{"a":' * 100_000),
    "no JSON": lambda root: tensors(b"\xff" * 64),
    "a name twice": lambda root: tensors(json.dumps(GOOD).encode()[:-1] + b', "2.bias": ' + json.dumps(GOOD["2.bias"]).encode() + b"}", BODY),
    "nothing": lambda root: b"",
    "seven bytes": lambda root: b"1234567",
    "names that are paths": lambda root: tensors({f"../../{OUTSIDE}/{name}": each for name, each in GOOD.items()}, BODY),
    "an element type that there is not": lambda root: tensors({**GOOD, "2.bias": _entry([2], 80, 88, "F3000")}, BODY),
    "a header of blanks": lambda root: tensors(b"{" + b" " * (20 << 20) + b"}"),
    "a pickle": _pickled,
    "an archive with a pickle": _zipped_pickle,
}  # fmt: skip


def _loaded(content: Callable[[Path], bytes]) -> Case:
    def case(root: Path) -> list[str]:
        spec(root, 'load net from "w.safetensors"')
        (root / "w.safetensors").write_bytes(content(root))
        return TRAIN

    return case


def newest(root: Path) -> Path:
    return max((root / "run" / "checkpoints").glob("step_*"), key=lambda each: int(each.name[5:]))


def replaced(root: Path, name: str, data: bytes) -> None:
    """Put a file into every checkpoint, with the hash that belongs to it."""
    for step in (root / "run" / "checkpoints").glob("step_*"):
        (step / name).write_bytes(data)
        relisted(step, {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


def relisted(step: Path, files: dict[str, Any]) -> None:
    manifest = json.loads((step / "manifest.json").read_text())
    manifest["files"].update(files)
    (step / "manifest.json").write_text(json.dumps(manifest))


def _in_checkpoint(content: Callable[[Path], bytes]) -> Case:
    def case(root: Path) -> list[str]:
        replaced(root, "network.net.safetensors", content(root))
        return EVALUATE

    return case


# --- checkpoints and runs ---------------------------------------------------------------------------------------------------------


def _listed(name: str, prepare: Callable[[Path], None] = lambda step: None) -> Case:
    def case(root: Path) -> list[str]:
        for step in (root / "run" / "checkpoints").glob("step_*"):
            prepare(step)
            relisted(step, {name: {"sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2}})
        return EVALUATE

    return case


def _checkpoint_file(name: str, data: bytes | Callable[[Path], None]) -> Case:
    """Another file in the place of one of each checkpoint, whatever the manifest says."""

    def case(root: Path) -> list[str]:
        for step in (root / "run" / "checkpoints").glob("step_*"):
            if isinstance(data, bytes):
                (step / name).write_bytes(data)
            else:
                (step / name).unlink()
                data(step / name)
        return EVALUATE

    return case


def _state(change: dict[str, Any]) -> Case:
    def case(root: Path) -> list[str]:
        state = json.loads((newest(root) / "state.json").read_text())
        replaced(root, "state.json", json.dumps({**state, **change}).encode())
        return RESUME

    return case


def _run_manifest(change: Any, command: list[str] = EVALUATE) -> Case:
    def case(root: Path) -> list[str]:
        path = root / "run" / "manifest.json"
        if isinstance(change, bytes):
            path.write_bytes(change)
        else:
            path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        return command

    return case


def _link(name: str, target: str, command: list[str] = RESUME, *, folder: bool = False) -> Case:
    """A link out of the run in the place of what is there."""

    def case(root: Path) -> list[str]:
        place = root / "run" / name
        if place.is_dir() and not place.is_symlink():
            place.rename(root.parent / OUTSIDE / "moved")
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(root.parent / OUTSIDE / target, target_is_directory=folder)
        return command

    return case


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    relisted(path.parent, {path.name: {"sha256": "0" * 64, "bytes": 1 << 40}})


def _fifo(name: str, command: list[str]) -> Case:
    def case(root: Path) -> list[str]:
        place = root / name
        place.unlink(missing_ok=True)
        os.mkfifo(place)
        return command

    return case


# --- foreign files where a run is wanted ------------------------------------------------------------------------------------------


def _file(name: str, content: Callable[[Path], bytes], command: list[str]) -> Case:
    def case(root: Path) -> list[str]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content(root))
        return command

    return case


def _foreign_load(name: str) -> Case:
    def case(root: Path) -> list[str]:
        spec(root, f'load net from "{name}"')
        if "." in name:
            (root / name).write_bytes(_zipped_pickle(root))
        else:
            (root / name).mkdir()
            (root / name / ".metadata").write_bytes(_pickled(root))
            (root / name / "__0_0.distcp").write_bytes(_pickled(root))
        return TRAIN

    return case


def _object_array(root: Path) -> bytes:
    file = io.BytesIO()
    numpy.save(file, numpy.array([Payload(root.parent)], dtype=object), allow_pickle=True)
    return file.getvalue()


# --- data -------------------------------------------------------------------------------------------------------------------------


def _arrays(entries: Callable[[Path], dict[str, bytes]], packed: int = zipfile.ZIP_DEFLATED) -> Case:
    def case(root: Path) -> list[str]:
        with zipfile.ZipFile(root / "new.npz", "w", packed) as archive:
            for name, data in entries(root).items():
                archive.writestr(name, data)
        return ["predict", "run", "--input", "new.npz"]

    return case


def npy(shape: tuple[int, ...], data: bytes = b"", descr: str = "<f4") -> bytes:
    file = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def _table(content: bytes) -> Case:
    def case(root: Path) -> list[str]:
        (root / "t.csv").write_bytes(content)
        return TRAIN

    return case


def png(width: int, height: int, data: bytes | None = None) -> bytes:
    """A grey picture; without data it holds all its pixels, in black."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packed = zlib.compress(bytes((width + 1) * height), 9) if data is None else data
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b"")
    )


def gif(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(MARK) (w) file closefile\nshowpage\n%%EOF\n"


def _picture(content: Callable[[Path], bytes]) -> Case:
    def case(root: Path) -> list[str]:
        (root / "model.nn").write_text(IMAGES.replace("DATA", 'ImageFolder("pets", size=8, channels=1, classes=2)'))
        for kind in ("cat", "dog"):
            (root / "pets" / kind).mkdir(parents=True)
            (root / "pets" / kind / "good.png").write_bytes(png(8, 8))
        (root / "pets" / "cat" / "evil.png").write_bytes(content(root))
        return TRAIN

    return case


def _linked_picture(root: Path) -> list[str]:
    command = _picture(lambda root: png(8, 8))(root)
    (root / "pets" / "cat" / "evil.png").unlink()
    (root / "pets" / "cat" / "evil.png").symlink_to(root.parent / OUTSIDE / "secret.png")
    return command


def idx(shape: tuple[int, ...], data: bytes = b"", kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape) + data


def _idx(content: Callable[[], bytes], packed: bool = False) -> Case:
    def case(root: Path) -> list[str]:
        (root / "model.nn").write_text(
            IMAGES.replace("DATA", "MNIST()")
            .replace("8, 8]", "28, 28]")
            .replace("Linear(2)", "Linear(10)")
            .replace("N, 2]", "N, 10]")
        )
        folder = root / "data" / "mnist"
        folder.mkdir(parents=True)
        ending = ".gz" if packed else ""
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
            (folder / f"{name}{ending}").write_bytes(content())
        return TRAIN

    return case


def _zeros(size: int) -> bytes:
    """So many zeros, packed, made piece by piece."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9) as packed:
        packed.write(idx((size // 784, 28, 28)))
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return file.getvalue()


# --- specs ------------------------------------------------------------------------------------------------------------------------


def _checked(text: str, name: str = "evil.nn") -> Case:
    def case(root: Path) -> list[str]:
        (root / name).write_text(text.replace("MARK", str(root.parent / CANARY)).replace("OUTSIDE", str(root.parent / OUTSIDE)))
        (root / "linked.nn").symlink_to(root.parent / OUTSIDE / "block.nn")
        return ["check", name]

    return case


USES = "\nnetwork A {\n  input x: float32[N, 8]\n  output x -> Block\n}\n"


def _source(text: str) -> Case:
    def case(root: Path) -> list[str]:
        (root / "linked.csv").symlink_to(root.parent / OUTSIDE / "t.csv")
        (root / "model.nn").write_text(
            SPEC.replace("LOAD", "").replace('"t.csv"', text.replace("OUTSIDE", str(root.parent / OUTSIDE)))
        )
        return TRAIN

    return case


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(12))
CASES: dict[str, Case] = {
    **{f"safetensors to load: {name}": _loaded(content) for name, content in SAFETENSORS.items()},
    **{f"safetensors in a checkpoint: {name}": _in_checkpoint(content) for name, content in SAFETENSORS.items()
       if name not in ("a name twice",)},
    **{f"safetensors to compare: {name}": _file("w.safetensors", content, ["diff", "model.nn", "model.nn", "--checkpoint", "w.safetensors"])
       for name, content in SAFETENSORS.items() if name in ("a header of 2 ** 63 bytes", "100,000 brackets", "a pickle", "nothing", "no JSON")},
    "a manifest with ../": _listed(f"../../../{OUTSIDE}/secret.json"),
    "a manifest with an absolute path": _listed("/etc/hostname"),
    "a manifest with a zero byte": _listed("a\0.json"),
    "a manifest that lists a link": _listed("link.json", lambda step: (step / "link.json").symlink_to("/etc/hostname")),
    "a manifest that lists a folder": _listed("folder.json", lambda step: (step / "folder.json").mkdir()),
    "a manifest that lists a pipe": _listed("pipe.json", lambda step: os.mkfifo(step / "pipe.json")),
    "a manifest of 100,000 brackets": _checkpoint_file("manifest.json", b"[" * 100_000),
    "a manifest of 70 MB": _checkpoint_file("manifest.json", b" " * (70 << 20)),
    "a manifest that is none": _checkpoint_file("manifest.json", b'{"version": 1, "files": {"state.json": 7}}'),
    "a manifest that is a pipe": _checkpoint_file("manifest.json", os.mkfifo),
    "a state of a terabyte": _checkpoint_file("state.json", _sparse),
    "a state that is a link": _checkpoint_file("state.json", lambda path: path.symlink_to("/dev/zero")),
    "a step that is no number": _state({"step": "x"}),
    "steps below zero": _state({"step": -5, "position": -7, "epoch": -1}),
    "a step of 10 ** 30": _state({"step": 10**30}),
    "a history of text": _state({"history": ["x"]}),
    "a history that is none": _state({"history": 7}),
    "the best of nothing": _state({"best": []}),
    "optimizers that are none": _state({"optimizers": {"": {"groups": "x", "values": []}}}),
    "a layout that there is not": _state({"memory_format": "__class__"}),
    "checkpoints that lie elsewhere": _link("checkpoints", "moved", folder=True),
    "a log that is a link": _link("metrics.jsonl", "secret.json"),
    "a picture that is a link": _link("curve.png", "secret.png"),
    "a spec that is a link": _link("spec", "moved", folder=True),
    "vocabularies that are a link": _link("vocabulary", "", folder=True),
    "samples that are a link": _link("samples", "", folder=True),
    "a manifest that is a link": _link("manifest.json", "secret.json", EVALUATE),
    "a link that leads to itself": lambda root: (root / "run" / "x").symlink_to("x") or EVALUATE,  # type: ignore[func-returns-value]
    "a log that is a pipe": _fifo("run/metrics.jsonl", RESUME),
    "a run's spec with ../": _run_manifest({"spec": {"path": f"../../../{OUTSIDE}/block.nn"}}),
    "a run's spec with an absolute path": _run_manifest({"spec": {"path": "/etc/passwd"}}),
    "a run's spec that is a number": _run_manifest({"spec": {"path": 7}}),
    "a best checkpoint with ../": _run_manifest({"best": f"../../../{OUTSIDE}"}),
    "a best checkpoint that is a list": _run_manifest({"best": [1]}),
    "settings that are none": _run_manifest({"settings": {"train.epochs": [[]]}}),
    "settings of a bomb": _run_manifest({"settings": {"train.batch_size": "9 ** 9 ** 9 ** 9"}}),
    "sizes that are none": _run_manifest({"sizes": [7]}),
    "sessions that are none": _run_manifest({"sessions": [7]}, RESUME),
    "data that is none": _run_manifest({"data": {"d": 7}}),
    "fitted numbers that are none": _run_manifest({"data": {"d": {"fitted": 7, "vocabularies": {"../../x": "y"}}}}),
    "a run's manifest of 100,000 brackets": _run_manifest(b"[" * 100_000),
    "a run's manifest of 5,000 digits": _run_manifest(b'{"seed": ' + b"7" * 5_000 + b"}"),
    "a run's manifest of 70 MB": _run_manifest(b" " * (70 << 20)),
    "a pickle in the place of a run": _file("x.pt", _zipped_pickle, ["evaluate", "x.pt"]),
    "a program in the place of a run": _file("x.pt2", _zipped_pickle, ["evaluate", "x.pt2"]),
    "a folder of a distributed checkpoint": _file("dcp/.metadata", _pickled, ["evaluate", "dcp"]),
    "a pickle to go on with": _file("x.ckpt", _pickled, ["train", "model.nn", "--resume", "x.ckpt"]),
    "a pickle to export": _file("x.pt", _zipped_pickle, ["export", "x.pt", "--to", "onnx", "--output", "o.onnx"]),
    "a program to profile": _file("x.pt2", _zipped_pickle, ["profile", "x.pt2"]),
    "a pickle to compile": _file("x.pt", _zipped_pickle, ["compile", "x.pt"]),
    "a pickle to sample": _file("x.pt", _zipped_pickle, ["sample", "x.pt"]),
    "a pickle of weights": _foreign_load("w.pt"),
    "a folder of weights": _foreign_load("dcp"),
    "a pickle to predict": _file("x.pt", _zipped_pickle, ["predict", "run", "--input", "x.pt"]),
    "a pickle called .npy": _file("x.npy", _pickled, ["predict", "run", "--input", "x.npy"]),
    "objects in an .npy": _file("x.npy", _object_array, ["predict", "run", "--input", "x.npy"]),
    "an .npy that lies": _file("x.npy", lambda root: npy((1 << 40, 2), bytes(16)), ["predict", "run", "--input", "x.npy"]),
    "an .npy of negative size": _file("x.npy", lambda root: npy((-1, 2), bytes(16)), ["predict", "run", "--input", "x.npy"]),
    "an .npy of text": _file("x.npy", lambda root: npy((2,), bytes(800), "<U100"), ["predict", "run", "--input", "x.npy"]),
    "an .npy that is a pipe": _fifo("x.npy", ["predict", "run", "--input", "x.npy"]),
    "a zip bomb": _arrays(lambda root: {"x.npy": npy((1 << 24, 8)) + bytes(300 << 20)}),
    "10,001 arrays": _arrays(lambda root: {f"{each}.npy": b"" for each in range(10_001)}),
    "an array called ../": _arrays(lambda root: {f"../../{OUTSIDE}/x.npy": npy((1, 2), bytes(8))}),
    "an array that lies": _arrays(lambda root: {"x.npy": npy((1 << 40, 2), bytes(16))}),
    "an array of objects": _arrays(lambda root: {"x.npy": _object_array(root)}),
    "an archive in an archive": _arrays(lambda root: {"x.npy": _zipped_pickle(root)}),
    "a table with a billion columns": _table(b"a,b,c" + b"," * (24 << 20)),
    "a table without an end of line": _table(b"a" * (24 << 20)),
    "a table of zero bytes": _table(bytes(1 << 20)),
    "a quote that is not closed": _table(TABLE.encode() + b'"' + b"1,2,3\n" * 400_000),
    "a table of infinity": _table(b"a,b,c\n1e999,nan,0\n"),
    "a table of 5,000 digits": _table(b"a,b,c\n1,1," + b"7" * 5_000 + b"\n"),
    "a table that is a pipe": _fifo("t.csv", TRAIN),
    "a picture of 4 gigapixels": _picture(lambda root: png(65_000, 65_000, zlib.compress(bytes(1_000)))),
    "a picture of 60 megapixels": _picture(lambda root: png(7_800, 7_800)),
    "a GIF of 4 gigapixels": _picture(lambda root: gif(65_000, 65_000)),
    "a picture that is cut off": _picture(lambda root: png(64, 64, zlib.compress(os.urandom(64 * 65)))[:500]),
    "PostScript called .png": _picture(lambda root: POSTSCRIPT.replace(b"MARK", str(root.parent / CANARY).encode())),
    "a pickle called .png": _picture(_pickled),
    "a picture that leads out": _linked_picture,
    "an IDX that lies": _idx(lambda: idx((60_000, 28, 28), bytes(100))),
    "an IDX of 255 axes": _idx(lambda: bytes((0, 0, 8, 255)) + b"\xff" * 1_020),
    "an IDX of 2 ** 64": _idx(lambda: idx((0xFFFFFFFF, 0xFFFFFFFF))),
    "a packed IDX of 300 MB": _idx(lambda: _zeros(300 << 20), packed=True),
    "a packed IDX that is longer than it says": _idx(lambda: gzip.compress(idx((1, 28, 28)) + bytes(64 << 20)), packed=True),
    "no gzip": _idx(lambda: b"\x1f\x8b" + b"\xff" * 100, packed=True),
    "a billion laughs": _checked(LAUGHS, "evil.yaml"),
    "YAML that makes an object": _checked('network A: !!python/object/apply:os.mkdir ["MARK"]\n', "evil.yaml"),
    "YAML that includes a file": _checked("network A: !include /etc/passwd\n", "evil.yaml"),
    "`use` with ../": _checked(f'use Block from "../{OUTSIDE}/block.nn"{USES}'),
    "`use` with an absolute path": _checked(f'use Block from "OUTSIDE/block.nn"{USES}'),
    "`use` of a link that leads out": _checked(f'use Block from "linked.nn"{USES}'),
    "data with ../": _source(f'"../{OUTSIDE}/t.csv"'),
    "data with an absolute path": _source('"OUTSIDE/t.csv"'),
    "data that is a link": _source('"linked.csv"'),
    "data that is a device": _source('"/dev/zero"'),
}  # fmt: skip


def outside(folder: Path) -> None:
    """What lies beside the project, and must be as it was."""
    folder.mkdir()
    (folder / "secret.json").write_text("{}")
    (folder / "secret.png").write_bytes(png(8, 8))
    (folder / "t.csv").write_text(TABLE)
    (folder / "block.nn").write_text("block Block {\n  input x: float32[N, 8]\n  output x -> ReLU\n}\n")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with what it holds, and every folder."""
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() and not each.is_symlink() else b""
        for each in folder.rglob("*")
        if "moved" not in each.parts
    }


def project(root: Path) -> None:
    """The project that the cases change: a spec, its data and a finished run."""
    from nnspec.checker import check_path
    from nnspec.training import train

    root.mkdir()
    spec(root)
    (root / "nnspec.toml").write_text("")
    (root / "t.csv").write_text(TABLE)
    torch.manual_seed(0)
    run = train(check_path(root / "model.nn"), device="cpu", out=root / "runs").run
    run.rename(root / "run")
    (root / "runs").rmdir()
    manifest = json.loads((root / "run" / "manifest.json").read_text())
    manifest["spec"]["folder"] = ".."  # where its data lie, now that it has been moved
    (root / "run" / "manifest.json").write_text(json.dumps(manifest))
