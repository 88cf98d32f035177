"""One result of every public function, from one table, to be compared between threads, instruction sets, processors.

Run as a script it prints the digests as JSON, so that a test can ask for them under another environment.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import sys
import warnings

import numpy as np
from scipy.sparse import csr_matrix

import harmonium
from harmonium import deep, theory
from harmonium.engines._native import _kernels
from harmonium.likelihood.annealed import Annealer
from harmonium.likelihood.constant_means import constant_means_path
from harmonium.sklearn import BernoulliRBM


def rng():
    return np.random.default_rng(5)


def machine(n_hidden, n_visible, size=0.3):
    r = rng()
    W, b, c = (size * r.standard_normal(shape) for shape in ((n_hidden, n_visible), n_visible, n_hidden))
    return harmonium.RBM(*(x.astype(np.float32) for x in (W, b - 0.5, c)))


# Rows and units are as few as make the kernels start four threads and cross their blocks of 32, 64 and 128.
WIDE, SMALL = machine(70, 130), machine(9, 70)
X = (rng().random((300, 130)) < 0.3).astype(np.uint8)
GREY = rng().random((300, 130)).astype(np.float32) * (rng().random((300, 130)) < 0.6)
HOLES = np.where(rng().random(X.shape) < 0.3, np.nan, X)
XS, GREYS, HOLED = X[:, :70], GREY[:, :70], HOLES[:, :70]
START = (rng().random((150, 130)) < 0.5).astype(np.uint8)
CLAMP = harmonium.Clamp(np.arange(130) < 40, START)


def trained(X=X, n_hidden=40, **options):
    options = {"epochs": 1, "batch_size": 100, "seed": 3, "learning_rate": 0.05, **options}
    sizes = {"sample_weight": 1.0 + np.arange(len(X)) % 3} if options.pop("weighted", False) else {}
    result = harmonium.train(X, n_hidden, valid=options.pop("valid", None), **sizes, **options)
    return result.rbm


@functools.cache
def estimator(grey=False):
    return BernoulliRBM(20, n_iter=1, random_state=1, binarize="sample").fit(GREYS if grey else XS)


def stack():
    return deep.Stack((WIDE, machine(20, 70)))


def constant_means():
    """What `log_partition` makes for machines that are hard to anneal, and seldom needs."""
    path = constant_means_path(SMALL, (np.full(70, 0.4), np.full(9, 0.6)), harmonium.Key(1))
    annealer = Annealer(SMALL, path)
    works = annealer.run(annealer.start(50, harmonium.Key(2)), np.linspace(0, 1, 5), harmonium.Key(3))
    return path.betas, path.x, path.y, works.log_w


def watched(method, **options):
    """The record and the state of a run of so many steps that its chains are looked at, and its ladder moved."""
    config = harmonium.Config(7, method=method, epochs=1, batch_size=1, seed=2, **options)
    run = harmonium.TrainingRun(XS[:130], config)
    return *run.epochs(), run.state.chains, *run.state.extras.items()


def chain():
    steps = harmonium.gibbs_chain(WIDE, START, seed=4)
    return [next(steps) for _ in range(3)]


# name of the result: (what makes it). The part before ":" is the public name.
CALLS = {
    "complete": lambda: harmonium.complete(WIDE, HOLES, sweeps=3, seed=1),
    "complete:exact": lambda: harmonium.complete(SMALL, HOLED, seed=1),
    "complete:few missing": lambda: harmonium.complete(WIDE, np.where(np.arange(130) < 5, np.nan, X), seed=1),
    "log_conditional_probability": lambda: harmonium.log_conditional_probability(
        SMALL, np.r_[[1, 0], np.full(68, np.nan)], given=np.r_[[np.nan, np.nan, 1], np.full(67, np.nan)]
    ),
    "entropy": lambda: harmonium.entropy(SMALL, "hidden"),
    "entropy:samples": lambda: harmonium.entropy(SMALL, samples=300, seed=1),
    "entropy:chains": lambda: harmonium.entropy(
        WIDE, log_z=harmonium.Estimate.exact("log Z", 0.0), chains=40, sweeps=6, burn_in=2
    ),
    "evaluate": lambda: harmonium.evaluate(SMALL, XS),
    "evaluate:holes": lambda: harmonium.evaluate(SMALL, HOLED),
    "evaluate:conservative": lambda: harmonium.evaluate(SMALL, XS, conservative=True, chains=20, temperatures=10),
    "evaluate:annealed": lambda: harmonium.evaluate(WIDE, X, log_z="ais", chains=30, temperatures=4),
    "exact_gradient": lambda: harmonium.exact_gradient(SMALL, XS),
    "exact_gradient:grey": lambda: harmonium.exact_gradient(SMALL, GREYS),
    "exact_sample": lambda: harmonium.exact_sample(SMALL, 300, seed=2),
    "exact_statistics": lambda: harmonium.exact_statistics(SMALL),
    "exact_statistics:mirrored": lambda: harmonium.exact_statistics(SMALL.mirror()),
    "free_energy": lambda: harmonium.free_energy(WIDE, X),
    "free_energy:grey": lambda: harmonium.free_energy(WIDE, GREY),
    "free_energy_difference": lambda: harmonium.free_energy_difference(SMALL, machine(9, 70, 0.4), samples=300),
    "free_energy_difference:chains": lambda: harmonium.free_energy_difference(
        WIDE, harmonium.RBM(WIDE.W, WIDE.b + np.float32(0.1), WIDE.c), samples=130, sweeps=3
    ),
    "gibbs_chain": chain,
    "impute": lambda: harmonium.impute(SMALL, HOLED, method="exact"),
    "impute:gibbs": lambda: harmonium.impute(WIDE, HOLES[:40], method="gibbs", chains=4, burn_in=3, sweeps=4),
    "impute:few missing": lambda: harmonium.impute(WIDE, np.where(np.arange(130) < 5, np.nan, X), method="exact"),
    "log_likelihood": lambda: harmonium.log_likelihood(SMALL, XS, harmonium.log_partition(SMALL)),
    "log_partition": lambda: harmonium.log_partition(machine(13, 70)),
    "log_partition:ais": lambda: harmonium.log_partition(WIDE, "ais", X=X, chains=30, temperatures=4),
    "log_partition:adaptive": lambda: harmonium.log_partition(machine(20, 30), "ais", chains=20),
    "log_partition:chains": lambda: harmonium.log_partition(
        machine(20, 30, 1.0), "ais", chains=20, temperatures=4, start="chains"
    ),
    "log_partition:constant means": constant_means,
    "log_partition:tempered": lambda: harmonium.log_partition(
        machine(20, 30), "tempered", chains=20, sweeps=100, temperatures=4, X=XS[:, :30]
    ),
    "log_partition:trajectory": lambda: harmonium.log_partition(
        SMALL, "tempered", chains=20, sweeps=100, temperatures=4, trajectory=[machine(9, 70, 0.1)]
    ),
    "marginal_free_energy": lambda: harmonium.marginal_free_energy(WIDE, HOLES[:30], chains=5, temperatures=5),
    "marginal_free_energy:exact": lambda: harmonium.marginal_free_energy(SMALL, HOLED),
    "moment_fit": lambda: harmonium.moment_fit(SMALL, HOLED),
    "moment_fit:chains": lambda: harmonium.moment_fit(WIDE, X, chains=20, sweeps=40, burn_in=2),
    "pair_moments": lambda: harmonium.pair_moments(SMALL),
    "pair_moments:visible": lambda: harmonium.pair_moments(SMALL.mirror()),
    "pair_moments:chains": lambda: harmonium.pair_moments(WIDE, chains=60, sweeps=6, burn_in=2),
    "probability_table:visible": lambda: harmonium.probability_table(SMALL.mirror(), layer="visible"),
    "probability_table": lambda: harmonium.probability_table(SMALL),
    "pseudo_log_likelihood": lambda: harmonium.pseudo_log_likelihood(WIDE, X),
    "reconstruction_error": lambda: harmonium.reconstruction_error(WIDE, X),
    "running_moments:exact": lambda: harmonium.running_moments(SMALL),
    "running_moments": lambda: harmonium.running_moments(WIDE, chains=60, sweeps=8, burn_in=2),
    "sample": lambda: harmonium.sample(WIDE, 300, sweeps=5, seed=1),
    "sample:clamped": lambda: harmonium.sample(WIDE, sweeps=5, start=START, seed=1, clamp=CLAMP, beta=0.7),
    "sample_tempered": lambda: harmonium.sample_tempered(WIDE, 30, sweeps=8, seed=1),
    "sample_tempered:adaptive": lambda: harmonium.sample_tempered(
        WIDE, 20, sweeps=34, temperatures="adaptive", X=X, seed=1
    ),
    "sample_tempered:trajectory": lambda: harmonium.sample_tempered(
        WIDE, 150, sweeps=34, temperatures=4, trajectory=[machine(70, 130, 0.1)], X=X, seed=1
    ),
    "thinned_sample:exact": lambda: harmonium.thinned_sample(SMALL, 20, seed=1),
    "thinned_sample": lambda: harmonium.thinned_sample(WIDE, 20, seed=1, max_sweeps=2000),
    "train": lambda: trained(valid=X[:50]),
    "train:one step": lambda: trained(epochs=1, batch_size=300),
    "train:cd-2 adam": lambda: trained(method="cd", sweeps=2, optimizer="adam", l1=1e-4, max_norm=2.0),
    "train:pcd": lambda: trained(method="pcd", chains=80, restarts=0.1, weight_decay=1e-3),
    "train:fast weights": lambda: trained(method="fpcd", chains=80),
    "train:tempered end": lambda: trained(method="pcd", chains=40, tempered_share=0.4),
    "train:tempered": lambda: trained(method="pt", chains=20, temperatures=4),
    "train:exact": lambda: trained(XS, 7, method="exact", epochs=1, batch_size=300),
    "train:mean field": lambda: trained(method="cd", last_statistic="mean_field"),
    "train:penalties": lambda: trained(sparsity_cost=0.1, clip=0.5, data_moments=True, centered=False),
    "train:grey": lambda: trained(GREY, binarize="none", max_norm=1.0),
    "train:drawn": lambda: trained(GREY, binarize="sample"),
    "train:weighted": lambda: trained(weighted=True),
    "train:holes": lambda: trained(HOLES),
    "TrainingRun": lambda: list(harmonium.TrainingRun(X, harmonium.Config(20, epochs=1), valid=X).epochs()),
    "TrainingRun:pcd": lambda: watched("pcd", chains=10, sparsity_cost=0.01),
    "TrainingRun:fpcd": lambda: watched("fpcd", chains=10, max_norm=0.1),
    "TrainingRun:pt": lambda: watched("pt", chains=10, temperatures=4),
    "TrainingRun:cd adam": lambda: watched("cd", optimizer="adam"),
    "deep.Stack.transform": lambda: stack().transform(GREY),
    "deep.Stack.reconstruct": lambda: stack().reconstruct(X),
    "deep.train_stack": lambda: deep.train_stack(X, (20, 10), epochs=1).stack.rbms,
    "BernoulliRBM.fit": lambda: estimator().rbm_,
    "BernoulliRBM.fit:grey": lambda: estimator(True).rbm_,
    "BernoulliRBM.fit:sparse": lambda: (
        BernoulliRBM(20, n_iter=1, random_state=1, binarize="sample").fit(csr_matrix(GREYS)).rbm_
    ),
    "BernoulliRBM.fit:sparse holes": lambda: (
        BernoulliRBM(20, n_iter=1, random_state=1).fit(csr_matrix(np.where(XS == 1, HOLED, 0))).rbm_
    ),
    "BernoulliRBM.partial_fit": lambda: BernoulliRBM(20, random_state=1).partial_fit(XS).rbm_,
    "BernoulliRBM.fit_transform": lambda: BernoulliRBM(20, n_iter=1, random_state=1).fit_transform(XS),
    "BernoulliRBM.transform": lambda: estimator().transform(XS),
    "BernoulliRBM.transform:grey": lambda: estimator().transform(GREYS),
    "BernoulliRBM.transform:holes": lambda: estimator().transform(HOLED[:2]),
    "BernoulliRBM.inverse_transform": lambda: estimator().inverse_transform(estimator().transform(XS)),
    "BernoulliRBM.mean_visible": lambda: estimator().mean_visible(estimator().transform(XS)),
    "BernoulliRBM.mean_hidden": lambda: estimator().mean_hidden(HOLED[:2]),
    "BernoulliRBM.sample_hidden": lambda: estimator().sample_hidden(XS),
    "BernoulliRBM.sample_visible": lambda: estimator().sample_visible(estimator().transform(XS) > 0.5),
    "BernoulliRBM.free_energy": lambda: estimator().free_energy(GREYS),
    "BernoulliRBM.score_samples": lambda: estimator().score_samples(XS),
    "BernoulliRBM.score": lambda: estimator().score(XS),
    "BernoulliRBM.gibbs": lambda: estimator().gibbs(XS),
    "BernoulliRBM.sample": lambda: estimator().sample(150),
    "BernoulliRBM.impute": lambda: estimator().impute(HOLED[:2]),
}

# Seconds each, made of what the others are made of: compared along the edges of the table only.
SLOW = ("evaluate:annealed", "log_partition:ais", "log_partition:adaptive")

# What NumPy, SciPy or their linear algebra computes is not promised to the bit, but to this relative difference: in
# double precision, and in single.
DIGITS, SINGLE_DIGITS = 1e-11, 1e-6
MACHINE = harmonium.RBM(*(x.astype(float) for x in (SMALL.W[:5, :6], SMALL.b[:6], SMALL.c[:5])))
SIX = X[:, :6]
CLOSE = {
    "RBM.free_energy": lambda: MACHINE.free_energy(GREY[:, :6].astype(float)),
    "RBM.log_z": lambda: MACHINE.log_z(),
    "engine numpy": lambda: harmonium.free_energy(SMALL, XS, engine="numpy"),
    "theory.bengio_delalleau": lambda: theory.bengio_delalleau(MACHINE),
    "theory.cd_bias": lambda: theory.cd_bias(MACHINE, SIX),
    "theory.cd_bias_bounds": lambda: theory.cd_bias_bounds(MACHINE).value,
    "theory.cd_gradient": lambda: theory.cd_gradient(MACHINE, SIX),
    "theory.certified_sweeps": lambda: theory.certified_sweeps(MACHINE),
    "theory.contraction_rate": lambda: theory.contraction_rate(MACHINE),
    "theory.coupling_bias": lambda: theory.coupling_bias(MACHINE),
    "theory.clique_potentials": lambda: theory.clique_potentials(MACHINE),
    "theory.interactions": lambda: theory.interactions(-(rng().random(8))),
    "theory.data_model_distance": lambda: theory.data_model_distance(MACHINE, SIX),
    "theory.dobrushin": lambda: theory.dobrushin(MACHINE),
    "theory.effective_couplings": lambda: theory.effective_couplings(MACHINE),
    "theory.fischer_igel": lambda: theory.fischer_igel(MACHINE),
    "theory.influence": lambda: theory.influence(MACHINE, "hidden"),
    "theory.log_overlap": lambda: theory.log_overlap(MACHINE, "hidden"),
    "theory.logit_range": lambda: theory.logit_range(MACHINE, "hidden"),
    "theory.mixing_summary": lambda: theory.mixing_summary(MACHINE).bias_bound,
    "theory.path_coupling": lambda: theory.path_coupling(MACHINE),
    "theory.path_coupling_rate": lambda: theory.path_coupling_rate(MACHINE),
    "theory.site_wise": lambda: theory.site_wise(MACHINE),
    "theory.transition_matrix": lambda: theory.transition_matrix(MACHINE).matrix,
    "theory.worst_cd_bias": lambda: theory.worst_cd_bias(MACHINE),
}


TIMES = ("seconds", "samples_per_second")


def update(digest, value):
    """Every number of a result, with its type and shape."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in (f for f in dataclasses.fields(value) if f.name not in TIMES):
            update(digest, getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for part in value:
            update(digest, part)
    else:
        digest.update(repr(value).encode())


def digest_of(name):
    digest = hashlib.blake2b(digest_size=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        update(digest, CALLS[name]())
    return digest.hexdigest()


def digests(names=CALLS):
    estimator.cache_clear()
    return {name: digest_of(name) for name in names}


def numbers(value):
    """All numbers of a result, one after the other."""
    parts = value if isinstance(value, tuple) else (value,)
    return np.concatenate([np.ravel(np.asarray(x, np.float64)) for x in parts]).tolist()


def close():
    return {name: numbers(call()) for name, call in CLOSE.items()}


if __name__ == "__main__":
    _kernels.assume_awake(True)
    json.dump({"digests": digests(), "close": close()}, sys.stdout)
