"""Numbers and names as the page writes them."""

from __future__ import annotations

from collections.abc import Iterable

from harmonium.reproduce.plan import Plan
from harmonium.training import Config

FRAMEWORKS = {"harmonium": "Harmonium", "tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_MINUS = "\N{MINUS SIGN}"


def titles_of(plan: Plan) -> dict[str, str]:
    """What the features are called, by their names in ``results.json``."""
    sizes = ", ".join(str(machine.config.n_hidden) for machine in plan.stack)
    return {
        "raw": "raw pixels",
        f"pca_{plan.n_components}": f"PCA-{plan.n_components}",
        plan.rbm_name: f"RBM-{plan.rbm.config.n_hidden}",
        plan.stack_name: f"stack [{sizes}]",
        "stack_fine_tuned": "stack, fine-tuned",
    }


def method_of(config: Config) -> str:
    """CD-1, PCD, PT."""
    return f"{config.estimator.upper()}-{config.n_sweeps}" if config.estimator == "cd" else config.estimator.upper()


def share(value: float) -> str:
    """0.25 as 25 %."""
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def percent(fraction: float) -> str:
    """0.25 as 25.00."""
    return f"{100 * fraction:.2f}"


def nats(value: float | None) -> str:
    """Two digits after the point, with a minus sign."""
    return "undefined" if value is None else f"{value:.2f}".replace("-", _MINUS)


def signed(value: float) -> str:
    """As short as can be, with a minus sign."""
    return f"{value:g}".replace("-", _MINUS)


def listed(items: Iterable[str]) -> str:
    """One, two and three."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
