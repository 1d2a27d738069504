"""What PCA makes of MNIST at the widths of the autoencoders: the figures that they are held against.

    python benchmarks/pca_baseline.py     (NNSPEC_DATA names the data)

PCA of scikit-learn, fitted to the 60,000 training pictures; mean squared error over the test part, of pictures as they are and of noisy ones
that are held against the pictures without noise, as the recipe `Denoising` has them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy
from output import print_table, write_results
from sklearn.decomposition import PCA

from nnspec.checker import check_path
from nnspec.data import load

SPEC = Path(__file__).resolve().parent.parent / "specs" / "autoencoder" / "autoencoder.nn"


def main() -> int:
    source = check_path(SPEC).recipes["DenseAutoencoder"].sources["digits"]
    parts = load(source, (Path(os.environ.get("NNSPEC_DATA", ".")),)).parts
    train, test = (parts[name]["image"][:].flatten(1).double().numpy() for name in ("train", "test"))
    noisy = numpy.clip(test + 0.5 * numpy.random.default_rng(0).standard_normal(test.shape), 0, 1)
    rows = []
    for width in (32, 128):
        pca = PCA(width, svd_solver="covariance_eigh").fit(train)
        clean, cleaned = (numpy.clip(pca.inverse_transform(pca.transform(each)), 0, 1) for each in (test, noisy))
        rows.append([width, float(((clean - test) ** 2).mean()), float(((cleaned - test) ** 2).mean())])
    print_table(["width", "mse", "mse of noisy pictures"], [[row[0], f"{row[1]:.4f}", f"{row[2]:.4f}"] for row in rows])
    write_results("pca_baseline", [dict(zip(("width", "mse", "noisy"), row, strict=True)) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
