"""A package of AOTInductor: https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html. It is compiled once, as by torch.compile,
and kept (`nnspec.engines.kept_packages`), so that another process has it at once and needs no compiler.

Where the network has no convolution, its weights stay outside of the package, which then serves whatever they hold, and reads them where
torch has them. The weights of convolutions are packed for oneDNN and are part of the package, as Inductor makes them much faster so.
"""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from nnspec.engines import kept_packages
from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.engines.identity import content, instructions, meaning, processor
from nnspec.exporting.aoti import lacking_compiler, write_package
from nnspec.exporting.base import ExportContext, ExportError
from nnspec.torch_backend.equivalence import measure
from nnspec.version import VERSION

#: Changes with how packages are made, so that older ones are forgotten.
_VERSION = "1"
#: Settings of Inductor for weights that are packed, and for weights that stay outside.
_PACKED = {"freezing": True}
_OUTSIDE = {"always_keep_tensor_constants": True, "aot_inductor.package_constants_in_so": False}


class AotInductor(Engine):
    """The network compiled by Inductor ahead of time."""

    name = "aot_inductor"
    asked_only = True

    def missing(self) -> str | None:
        lacking = lacking_compiler()
        return None if lacking is None or kept_packages.any_kept() else f"it {lacking}"

    def prepare(self, subject: Subject) -> Run:
        outside = not any(node.operator.name.startswith("Conv") for node in subject.folded.nodes)
        for each in (True, False) if outside else (False,):
            run = _kept(subject, outside=each)
            if run is not None:
                return run
        lacking = lacking_compiler()
        if lacking is not None:
            raise Unsuitable(f"it {lacking}", lasting=False)
        subject.told(f"compiling {subject.graph.name} with AOTInductor: that takes seconds to minutes")
        outside, data = _compiled(subject, outside=outside)
        run = _loaded(data, subject, outside=outside)
        kept_packages.keep(_key(subject, outside=outside), data, subject.told)
        return run


def _key(subject: Subject, *, outside: bool) -> str:
    """A hash of all that machine code depends on: the folded network, its sizes, threads, the processor, versions, and weights that it holds."""
    sizes = sorted((var.name, size) for var, size in subject.sizes.items())
    state = sorted(subject.folded_state.items())
    weights = "outside" if outside else content(each for _, each in state)
    about = [
        _VERSION,
        VERSION,
        torch.__version__,
        str(torch.version.git_version),
        processor(),
        instructions(),
        str(subject.threads),
    ]
    parts = [*about, *meaning(subject.folded), str(sizes), str([each.shape for each in subject.inputs]), weights]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _kept(subject: Subject, *, outside: bool) -> Run | None:
    """The network by its package, where there is one which loads and computes it."""
    key = _key(subject, outside=outside)
    data = kept_packages.find(key, subject.told)
    if data is None:
        return None
    try:
        run = _loaded(data, subject, outside=outside)
        reference = subject.outputs(subject.module("fused")(*subject.inputs))
        difference = measure(reference, run(subject.inputs))
        if difference.relative <= subject.tolerance:
            return run
        reason = f"it differs by {difference.relative:.1e} of the output"
    except (Unsuitable, RuntimeError, ValueError) as error:  # a library of the system may be another one now
        reason = str(error).strip().splitlines()[0][:160]
    subject.told(f"the package of {subject.graph.name} is made anew: {reason}")
    kept_packages.discard(key)
    return None


def _compiled(subject: Subject, *, outside: bool) -> tuple[bool, bytes]:
    """Whether the weights are outside of the package, and the package. Raises Unsuitable."""
    from nnspec.exporting import tracing  # which imports much

    inputs = {entry.name: each.contiguous() for entry, each in zip(subject.graph.inputs, subject.inputs, strict=True)}
    with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
        path = Path(folder, "network.pt2")
        module = tracing.network_to_trace(ExportContext(subject.graph, path, state=subject.state), folded=True)
        try:
            program = tracing.traced(module.requires_grad_(False), inputs, {name: {} for name in inputs})
            # Constants of the program's own can be handed over by nobody else.
            outside = outside and not program.constants.keys() - dict(module.named_buffers()).keys()
            write_package(program, path, {**(_OUTSIDE if outside else _PACKED), "cpp.threads": subject.threads})
        except ExportError as error:
            raise Unsuitable(str(error)) from error
        return outside, path.read_bytes()


def _loaded(data: bytes, subject: Subject, *, outside: bool) -> Run:
    """The package as a call. Raises Unsuitable and RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
        path = Path(folder, "network.pt2")
        path.write_bytes(data)
        try:
            # What `torch._inductor.aoti_load_package` calls after importing all of Inductor, which takes longer than everything here.
            loader: Any = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
        except (AttributeError, TypeError) as error:
            raise Unsuitable(f"torch {torch.__version__} loads packages in another way: {error}") from error
    held: dict[str, Tensor] = {}
    if outside:
        held = _weights(subject, loader.get_constant_fqns())
        loader.load_constants(held, False, True, True)  # not to those in reserve; all of them; where they lie
    execute = loader.boxed_run
    # What a program returns is a flat list; its places by the names of outputs are in its specification.
    structure = pytree.treespec_loads(loader.get_call_spec()[1])
    found_at: Any = pytree.tree_unflatten(list(range(structure.num_leaves)), structure)
    places = [found_at[name] for name in subject.graph.outputs] if isinstance(found_at, dict) else [found_at]

    def run(inputs: tuple[Tensor, ...], held: dict[str, Tensor] = held) -> list[Tensor]:
        """Machine code takes inputs as they lay when it was made, and reads the weights that are held for as long as it is used."""
        found = execute([each if each.is_contiguous() else each.contiguous() for each in inputs])
        return [found[place] for place in places]

    return run


def _weights(subject: Subject, names: list[str]) -> dict[str, Tensor]:
    """The weights of the network in torch under the names that the package has for them. Raises Unsuitable.

    They are further tensors over the same memory, which stays for as long as they do, whatever becomes of the parameters.
    """
    network = subject.module("fused")
    prefix = "network." if "code" in network._modules else ""  # where a program cannot hold a layer of that name
    known = {f"{prefix}{name}": each for name, each in (*network.named_parameters(), *network.named_buffers())}
    foreign = [name for name in names if name not in known]
    if foreign:
        raise Unsuitable(f"its package wants `{foreign[0]}`, which is no weight of the network")
    return {name: known[name].detach().contiguous() for name in names}
