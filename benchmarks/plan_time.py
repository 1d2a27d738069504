"""The time of a training step as `nnspec plan` reckons it, with the roofline that is measured here, against the time that it takes here.

    python benchmarks/plan_time.py [--batch 64] [--repeats 10] [FAMILY ...]

One process, no communication: what is tested is the time of computing. Reckoned is with 100 % of the measured peak, so that the ratio is the
share of it that a training attains (what `--efficiency` says). Prints the median of the repeats; asserts nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch
from output import ROOT, print_table, write_results

from nnspec.checker import check_path
from nnspec.profiling.brought import numbered
from nnspec.profiling.measure import whole_times
from nnspec.profiling.node_times import Clock
from nnspec.profiling.roofline import Roofline, roofline
from nnspec.profiling.static_work import least_seconds, step_work
from nnspec.profiling.step_calls import recipe_calls
from nnspec.training.profiled_step import RecipeSubject

#: A recipe of each family.
RECIPES = (
    ("autoencoder/autoencoder.nn", "ConvAutoencoder"), ("cnn/simple_cnn.nn", "SimpleCNN"), ("cnn/color_cnn.nn", "ColorCNN"),
    ("gan/dcgan.nn", "DCGAN"), ("mlp/mlp.nn", "MLP"), ("resnet/resnet20.nn", "ResNet20"), ("rnn/row_classifier.nn", "RowLSTM"),
    ("transformer/gpt.nn", "Shakespeare"), ("transformer/text_classifier.nn", "Spam"), ("unet/unet.nn", "Nuclei"), ("vae/vae.nn", "VAE"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    at = roofline("cpu")
    print(f"{at.flop_per_second / 1e9:.1f} GFLOP/s, {at.bytes_per_second / 1e9:.1f} GB/s, {torch.get_num_threads()} threads\n")
    rows = list(_rows(options, at))
    print_table(("recipe", "batch", "reckoned ms", "measured ms", "share"), rows)
    write_results("plan_time", {"roofline": at._asdict(), "rows": rows})


def _rows(options: argparse.Namespace, at: Roofline) -> Iterator[tuple[str, int, float, float, float]]:
    for place, name in RECIPES:
        if options.families and place.split("/")[0] not in options.families:
            continue
        report = check_path(ROOT / "specs" / place)
        found = numbered(report, report.recipes[name])
        assert found is not None
        recipe = found.recipes[name]
        subject = RecipeSubject(recipe, {"N": options.batch}, "cpu")
        work = step_work(recipe_calls(recipe, subject.symbols))
        seconds = least_seconds(work, at.flop_per_second, at.bytes_per_second, call_seconds=at.call_seconds).total
        measured = whole_times(subject, Clock(subject.device), options.repeats, 3).milliseconds
        yield name, options.batch, 1000 * seconds, measured, 1000 * seconds / measured


if __name__ == "__main__":
    main()
