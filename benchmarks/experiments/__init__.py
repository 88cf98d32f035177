"""The experiments of docs/results/training.md: one file each, with the runs, the table and the figure."""

from types import ModuleType

from experiments import bars, cost, curves, density, hidden16, mnist500, small

__all__ = ["ALL", "cost"]

ALL: dict[str, ModuleType] = {
    "bars": bars,
    "hidden16": hidden16,
    "density": density,
    "mnist500": mnist500,
    "curves": curves,
    "small": small,
}
