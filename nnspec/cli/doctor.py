"""`nnspec doctor`: what this installation can do."""

from __future__ import annotations

from typing import Any

from nnspec.cli.options import Json

#: What needs which packages (distribution names), and the extra that brings them.
_ABILITIES = {
    "check, fmt, convert, explain, diff": ("", ("typer", "rich", "pydantic", "lark", "pyyaml")),
    "compile, train, evaluate, predict, profile": ("torch", ("torch", "numpy", "safetensors")),
    "image folders": ("images", ("pillow",)),
    "embedded data sets": ("sklearn", ("scikit-learn",)),
    "byte pairs": ("text", ("tokenizers",)),
    "curves": ("plot", ("matplotlib",)),
    "Parquet tables": ("parquet", ("pyarrow",)),
    "agents": ("agents", ("torch", "numpy", "safetensors", "gymnasium")),
    "train --log tensorboard": ("tensorboard", ("torch", "tensorboard")),
    "train --log mlflow": ("mlflow", ("torch", "mlflow")),
    "sweep": ("hpo", ("torch", "numpy", "safetensors", "optuna")),
    "check --watch": ("watch", ("watchfiles",)),
    "ONNX": ("onnx", ("onnx", "onnxscript", "onnxruntime")),
    "engines: ONNX Runtime": ("engines", ("onnx", "onnxruntime")),
    "engines: OpenVINO": ("engines", ("onnx", "openvino")),
}


def run(json: Json = False) -> int:
    """Show what this installation can do, and what it lacks."""
    from nnspec.cli.output import say, show_json

    report = examine()
    if json:
        show_json(report)
        return 0
    say(f"nnspec {report['nnspec']}, Python {report['python']}, {report['platform']}")
    for ability, state in report["abilities"].items():
        versions = ", ".join(f"{name} {version or 'missing'}" for name, version in state["packages"].items())
        mark = "yes" if state["ready"] else f"no: pip install 'nnspec[{state['extra']}]'"
        say(f"\n{ability}: {mark}\n  {versions}")
    say("")
    for name, value in (*report["device"].items(), *report["folders"].items()):
        say(f"{name}: {value}")
    return 0


def examine() -> dict[str, Any]:
    """Versions, abilities, devices and folders of this installation."""
    import os
    import platform

    from nnspec.version import VERSION

    abilities = {}
    for ability, (extra, packages) in _ABILITIES.items():
        versions = {name: _version(name) for name in packages}
        abilities[ability] = {"ready": all(versions.values()), "extra": extra, "packages": versions}
    return {
        "nnspec": VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "abilities": abilities,
        "device": {**_device(), "C++ compiler": _compiler()} if _version("torch") else {},
        "folders": {"data (NNSPEC_DATA)": os.environ.get("NNSPEC_DATA") or "not set"},
    }


def _version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _compiler() -> str:
    from nnspec.exporting.aoti import lacking_compiler

    return (
        "yes" if lacking_compiler() is None else "none: `compile --engine inductor,aot_inductor` and `export --to aoti` need one"
    )


def _device() -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        return {"torch": f"installed, but it cannot be imported: {error}"}
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {"CPU threads": torch.get_num_threads(), "CUDA device": cuda}
