"""Which engine runs a network fastest at given sizes on this machine: measured once, and remembered.

An engine is a candidate where it can be had, can run the network, and computes the same as the network as written. Candidates are timed in
turn, several times over, so that whatever else the machine does meets all of them. What was measured is kept in a file of the user's
cache (`NNSPEC_CACHE`), under a hash of the network, its sizes, the machine and the versions of all engines.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data.location import cache_folder
from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.engines.identity import content, meaning, processor
from nnspec.engines.table import ENGINES
from nnspec.garbage import collector_held
from nnspec.torch_backend.equivalence import measure

#: By how much an engine has to be faster than one that is tried before it.
MARGIN = 1.03
#: Share of the largest output by which an engine may differ from torch in float32, where nothing else is said.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.02, "int8": 0.1}
#: Many short rounds rather than a few long ones: what else the machine does then meets some of each candidate's, not all of one's.
_ROUNDS = 6
#: After so many rounds, who is so many times slower than the fastest is out: nobody waits for what cannot win.
_OUT = {2: 1.5, 4: 1.15}
#: About so long each candidate is timed in a round.
_SECONDS = 0.05
#: After a candidate, threads of its own wait so long for more to do, and slow the next one.
_REST_S = 0.03


@dataclass(frozen=True)
class Timing:
    """What an engine came to: milliseconds of a call, or why it was no candidate; seconds until it was ready; and by how much of the largest
    output it differs from torch in float32."""

    engine: str
    ms: float | None
    reason: str = ""
    ready_s: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class Decision:
    """The engine that was chosen, and what was measured. `remembered` where it was measured before."""

    engine: str
    timings: tuple[Timing, ...]
    sizes: dict[str, int]
    remembered: bool = False
    precision: str = "float32"

    def lines(self) -> list[str]:
        """What was measured, for people."""
        at = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        allowed = "" if self.precision == "float32" else f", {self.precision} allowed"
        first = f"runs with `{self.engine}` at {at or 'its sizes'}{allowed}{', as measured before' if self.remembered else ''}"
        return [first, *(f"  {each.engine}: {_told(each, exact=self.precision == 'float32')}" for each in self.timings)]


def _told(timing: Timing, *, exact: bool) -> str:
    if timing.ms is None:
        return timing.reason
    return f"{timing.ms:.3f} ms" + ("" if exact else f", off by {timing.error:.1e} of the output")


def choose(subject: Subject, names: Sequence[str], told: Callable[[str], None] = lambda text: None) -> tuple[Decision, Run]:
    """The fastest of these engines, and its call. The network as folded is always a candidate."""
    engines = [each for name, each in ENGINES.items() if name in names or name == "torch"]
    key = _key(subject, engines)
    known = _remembered(key)
    if known is not None:
        try:
            return known, ENGINES[known.engine].made_for(subject)
        except (Unsuitable, RuntimeError, ValueError, NotImplementedError) as error:  # it could be had, and cannot any more
            told(f"`{known.engine}` was the fastest, and fails now: {error}")
    told(f"measuring {len(engines)} ways to run {subject.graph.name}")
    ready: dict[str, tuple[Run, float, float]] = {}
    reasons: dict[str, Unsuitable] = {}
    reference = engines[0].made_for(subject)(subject.inputs)
    for each in engines:
        outcome = _prepared(each, subject, reference)
        if isinstance(outcome, Unsuitable):
            reasons[each.name] = outcome
        else:
            ready[each.name] = outcome
    times = _timed({name: run for name, (run, _, _) in ready.items()}, subject.inputs)
    timings = tuple(
        Timing(each.name, times[each.name], "", *ready[each.name][1:])
        if each.name in ready
        else Timing(each.name, None, str(reasons[each.name]))
        for each in engines
    )
    best = engines[0].name
    for name, ms in times.items():
        if ms * MARGIN < times[best]:
            best = name
    decision = Decision(best, timings, {var.name: size for var, size in subject.sizes.items()}, precision=subject.precision)
    if all(each.lasting for each in reasons.values()):
        _remember(key, decision)
    return decision, ready[best][0]


def _prepared(engine: Engine, subject: Subject, reference: list[Tensor]) -> tuple[Run, float, float] | Unsuitable:
    """The engine's call with the seconds that it took to make it and its error, or why it is none."""
    missing = engine.missing()
    if missing is not None:
        return Unsuitable(missing)
    began = time.perf_counter()
    try:
        run = engine.made_for(subject)
        found = run(subject.inputs)
    except Unsuitable as error:
        return error
    except (RuntimeError, ValueError, NotImplementedError) as error:  # what other people's runtimes raise for what they cannot do
        return Unsuitable(f"it fails: {str(error).strip().splitlines()[0][:160]}")
    seconds = time.perf_counter() - began
    difference = measure(reference, found)
    if not difference.relative <= subject.tolerance:
        return Unsuitable(f"it differs by {difference.relative:.1e} of the output, and {subject.tolerance:g} is allowed")
    return run, seconds, difference.relative


def _timed(runs: Mapping[str, Run], inputs: tuple[Tensor, ...]) -> dict[str, float]:
    """Milliseconds of a call: the least of the medians of some rounds."""
    least = dict.fromkeys(runs, math.inf)
    left = list(runs)
    with collector_held():
        for done in range(1, _ROUNDS + 1):
            for name in left:
                time.sleep(_REST_S)
                least[name] = min(least[name], _median_ms(runs[name], inputs))
            allowed = _OUT.get(done, math.inf) * min(least.values())
            left = [name for name in left if least[name] <= allowed]
            if len(left) == 1:
                break
    return least


def _median_ms(run: Run, inputs: tuple[Tensor, ...]) -> float:
    times: list[float] = []
    with torch.no_grad():
        end = time.perf_counter() + _SECONDS
        while not times or time.perf_counter() < end:
            began = time.perf_counter()
            run(inputs)
            times.append(time.perf_counter() - began)
    return statistics.median(times[1:] or times) * 1e3  # the first of several finds the caches full of the last candidate's


# --- what is remembered -------------------------------------------------------------------------------------------------------


def _key(subject: Subject, engines: Sequence[Engine]) -> str:
    """A hash of all that a decision depends on: the folded network, its sizes, threads, the processor, the engines."""
    sizes = sorted((var.name, size) for var, size in subject.sizes.items())
    having = [f"{each.name} {each.version} {each.missing()}" for each in engines]
    if subject.precision != "float32":  # how far the results are off depends on the numbers, too
        having += [content([*subject.state.values(), *(each for batch in subject.calibration for each in batch)])]
    parts = [
        _VERSION,
        *meaning(subject.folded),
        str(sizes),
        str(subject.threads),
        subject.precision,
        str(subject.tolerance),
        processor(),
        *having,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


#: Changes with what engines do, so that older measurements are forgotten.
_VERSION = "7"


def _file() -> Path:
    return cache_folder().parent / "engines.json"


def _remembered(key: str) -> Decision | None:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))[key]
        timings = tuple(Timing(**each) for each in found["timings"])
        decision = Decision(found["engine"], timings, dict(found["sizes"]), remembered=True, precision=found["precision"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return decision if decision.engine in ENGINES else None


def _remember(key: str, decision: Decision) -> None:
    """Keep a decision; where the file cannot be written, it is measured again the next time."""
    path = _file()
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        known = {}
    entry: dict[str, Any] = {"engine": decision.engine, "precision": decision.precision, "sizes": decision.sizes}
    entry["timings"] = [asdict(each) for each in decision.timings]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({**known, key: entry}, indent=1), encoding="utf-8")
        os.replace(beside, path)
    except OSError:
        return
