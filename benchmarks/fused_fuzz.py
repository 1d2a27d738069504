"""Random whole networks against themselves, folded and fused: the same results and the same gradients.

    python benchmarks/fused_fuzz.py [--networks 2000] [--seed 0] [--jobs 2]

Prints how many networks could be compared, how many layers were fused, and every network of which anything differs, by its text. Exit status 1
where one does. How it works: `tests/differential/fused.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from output import ROOT, write_results

sys.path.insert(0, str(ROOT / "tests"))

from differential.fused import Trial, trials

_TOGETHER = 100


def _some(given: tuple[int, int, int]) -> list[Trial]:
    import torch

    torch.set_num_threads(1)
    return list(trials(*given))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    began = time.perf_counter()
    tasks = [(options.seed, low, min(_TOGETHER, options.networks - low)) for low in range(0, options.networks, _TOGETHER)]
    found: list[Trial] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for some in pool.map(_some, tasks):
            found += some
            for each in some:
                if each.wrong:
                    print(f"\n=== {each.wrong}", flush=True)
    wrong = sum(bool(each.wrong) for each in found)
    fused = sum(each.fused for each in found)
    seconds = time.perf_counter() - began
    print(f"{options.networks} networks, {len(found)} compared, {fused} layers fused, {wrong} differ; {seconds:.0f} s")
    write_results("fused_fuzz", {"networks": options.networks, "compared": len(found), "fused": fused, "differ": wrong})
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
