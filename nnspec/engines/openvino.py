"""OpenVINO: https://docs.openvino.ai, its processor plugin."""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
from torch import Tensor

from nnspec.engines.engine import Engine, Run, Subject
from nnspec.engines.onnx_runtime import onnx_model
from nnspec.engines.packages import installed

_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVino(Engine):
    """The whole network as one call of OpenVINO, on the processor."""

    name = "openvino"
    precisions = ("float32", "bfloat16", "int8")

    def missing(self) -> str | None:
        lacking = [package for package in ("onnx", "openvino") if installed(package) is None]
        return f"{' and '.join(lacking)} not installed" if lacking else None

    @property
    def version(self) -> str:
        return f"openvino {installed('openvino')}"

    def prepare(self, subject: Subject) -> Run:
        import openvino

        core = openvino.Core()
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[subject.precision], "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": subject.threads,
        }  # fmt: skip
        request = core.compile_model(core.read_model(onnx_model(subject)), "CPU", settings).create_infer_request()
        places = range(len(subject.graph.outputs))

        one_at_a_time = Lock()  # a request that is busy refuses another thread

        def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
            with one_at_a_time:
                found = request.infer([each.numpy() for each in inputs], share_inputs=True)
                return [torch.from_numpy(found[place]) for place in places]

        return run
