"""What blocked Gibbs sampling and contrastive divergence do, exactly on small machines and within bounds on any."""

from harmonium.theory.bounds import (
    bengio_delalleau,
    coupling_bias,
    data_model_distance,
    dobrushin,
    fischer_igel,
    path_coupling,
    path_coupling_rate,
    site_wise,
)
from harmonium.theory.cd_bias import cd_bias, cd_gradient, worst_cd_bias
from harmonium.theory.contraction import contraction_rate, influence, log_overlap, logit_range
from harmonium.theory.couplings import EffectiveCouplings, effective_couplings
from harmonium.theory.markov import clique_potentials, interactions
from harmonium.theory.report import CDBiasBounds, MixingSummary, cd_bias_bounds, certified_sweeps, mixing_summary
from harmonium.theory.transition import Transition, transition_matrix

__all__ = [
    "CDBiasBounds",
    "EffectiveCouplings",
    "MixingSummary",
    "Transition",
    "bengio_delalleau",
    "cd_bias",
    "cd_bias_bounds",
    "cd_gradient",
    "certified_sweeps",
    "clique_potentials",
    "contraction_rate",
    "coupling_bias",
    "data_model_distance",
    "dobrushin",
    "effective_couplings",
    "fischer_igel",
    "influence",
    "interactions",
    "log_overlap",
    "logit_range",
    "mixing_summary",
    "path_coupling",
    "path_coupling_rate",
    "site_wise",
    "transition_matrix",
    "worst_cd_bias",
]
