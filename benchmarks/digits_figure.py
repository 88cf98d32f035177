"""docs/figures/digits.png: the first filters of a machine trained on 4,000 digits, and samples of it, none picked.

harmonium train mnist-5k --hidden 200 --out runs/digits
python benchmarks/digits_figure.py runs/digits
"""

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib import image

import harmonium
from harmonium import plot

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "digits.png"


def main(run):
    rbm = harmonium.RBM.load(Path(run, "model.safetensors"))
    data = harmonium.datasets.load("mnist-5k").train > 0.5
    samples = harmonium.sample_tempered(rbm, 40, sweeps=2000, X=data, seed=1).samples
    grids = (
        plot.filters(rbm, (28, 28), 40, columns=10, ax=plot.bare_axes()),
        plot.samples(samples, (28, 28), columns=10, ax=plot.bare_axes()),
    )
    left, right = (image.imread(io.BytesIO(plot.to_png(grid))) for grid in grids)
    gap = np.ones_like(left[:, :16])
    image.imsave(FIGURE, np.hstack([left, gap, right]))


if __name__ == "__main__":
    main(*sys.argv[1:])
