"""The engines there are."""

from __future__ import annotations

from nnspec.engines.aot_inductor import AotInductor
from nnspec.engines.engine import Engine
from nnspec.engines.inductor import Inductor
from nnspec.engines.onnx_runtime import OnnxRuntime
from nnspec.engines.openvino import OpenVino
from nnspec.engines.torch_modules import Fused, FusedChannelsLast, Plain

#: By name, in the order in which they are tried: of two that are as fast, the first is taken.
ENGINES: dict[str, Engine] = {
    each.name: each for each in (Plain(), Fused(), FusedChannelsLast(), OnnxRuntime(), OpenVino(), Inductor(), AotInductor())
}
