"""What public scripts do with scikit-learn's class, run with only the import changed, beside that class.

Each is the pattern of scripts of its kind, small. What is compared is what their users look at.
"""

import pytest
from sklearn.datasets import load_digits

IMPORT = "from sklearn.neural_network import BernoulliRBM"
DIGITS, LABELS = load_digits(return_X_y=True)
GREY = DIGITS / 16

SCRIPTS = {
    "denoise": """
rng = np.random.RandomState(0)
clean = (GREY > 0.5).astype(float)
noisy = np.where(rng.rand(*clean.shape) < 0.1, 1 - clean, clean)
rbm = BernoulliRBM(n_components=64, learning_rate=0.05, n_iter=10, random_state=0)
rbm.fit(clean[:1200])
denoised = np.mean([rbm.gibbs(noisy[1200:]) for _ in range(20)], axis=0) > 0.5
figure = np.mean(denoised == clean[1200:]) - np.mean(noisy[1200:] == clean[1200:])
""",
    "reconstruct one image and plot it": """
from matplotlib.figure import Figure
rbm = BernoulliRBM(n_components=32, learning_rate=0.05, n_iter=10, random_state=0).fit(GREY[:1000])
image = GREY[1000]
reconstructed = image
for _ in range(10):
    reconstructed = rbm.gibbs(reconstructed)
assert reconstructed.shape == (64,)
axes = Figure().subplots(1, 2)
axes[0].imshow(image.reshape(8, 8))
axes[1].imshow(reconstructed.reshape(8, 8))
figure = float(reconstructed.mean())
""",
    "components as images": """
from matplotlib.figure import Figure
rbm = BernoulliRBM(n_components=100, learning_rate=0.06, n_iter=2, random_state=0).fit(GREY)
axes = Figure().subplots(2, 2).ravel()
for i, comp in enumerate(rbm.components_[:4]):
    axes[i].imshow(comp.reshape((8, 8)), interpolation="nearest")
figure = float(np.abs(rbm.components_).mean())
""",
    "anomaly scores": """
from sklearn.metrics import roc_auc_score
normal, odd = GREY[LABELS == 0], GREY[LABELS != 0]
rbm = BernoulliRBM(n_components=20, learning_rate=0.05, n_iter=20, random_state=0).fit(normal[:120])
scores = np.concatenate([rbm.score_samples((x > 0.5).astype(float)) for x in (normal[120:], odd)])
figure = roc_auc_score(np.arange(len(scores)) < len(normal) - 120, scores)
""",
    "label units": """
labels = np.eye(10)[LABELS]
joint = np.hstack([(GREY > 0.5).astype(float), labels])
rbm = BernoulliRBM(n_components=60, learning_rate=0.05, n_iter=30, random_state=0).fit(joint[:1400])
state = np.hstack([joint[1400:, :64], np.full((len(joint) - 1400, 10), 0.1)])
votes = np.zeros((len(state), 10))
for sweep in range(30):
    drawn = rbm.gibbs(state)
    votes += drawn[:, 64:]
    state = np.hstack([joint[1400:, :64], drawn[:, 64:]])
figure = np.mean(votes.argmax(axis=1) == LABELS[1400:])
""",
    "ratings": """
rng = np.random.RandomState(0)
taste = rng.randint(0, 2, 400)
liked = (rng.rand(400, 12) < np.where((np.arange(12) < 6) == taste[:, None], 0.9, 0.1)).astype(float)
seen = rng.rand(400, 12) < 0.6
rbm = BernoulliRBM(n_components=4, learning_rate=0.1, n_iter=30, random_state=0).fit(np.where(seen, liked, 0))
hidden = rbm.transform(np.where(seen, liked, 0))
wanted = 1 / (1 + np.exp(-(hidden @ rbm.components_ + rbm.intercept_visible_)))
figure = wanted[~seen & (liked > 0)].mean() - wanted[~seen & (liked == 0)].mean()
""",
    "a roll of notes": """
rng = np.random.RandomState(0)
chords = np.zeros((3, 24)); chords[0, [0, 4, 7]] = chords[1, [5, 9, 12]] = chords[2, [7, 11, 14]] = 1
roll = chords[rng.randint(0, 3, (200, 4))].reshape(200, 96)
rbm = BernoulliRBM(n_components=50, learning_rate=0.1, batch_size=20, n_iter=60, random_state=0)
rbm.fit(roll)
song = rbm.gibbs(np.zeros(96))
for _ in range(500):
    song = rbm.gibbs(song)
assert song.shape == (96,) and song.dtype == bool
figure = float(song.mean())
""",
    "a deep stack": """
from sklearn.neural_network import MLPClassifier
first = BernoulliRBM(n_components=40, learning_rate=0.06, n_iter=10, random_state=0)
second = BernoulliRBM(n_components=30, learning_rate=0.06, n_iter=10, random_state=0)
deep = second.fit_transform(first.fit_transform(GREY[:1200]))
assert deep.shape == (1200, 30)
net = Pipeline([("a", first), ("b", MLPClassifier((40,), max_iter=100, random_state=0))])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    figure = net.fit(GREY[:1200], LABELS[:1200]).score(GREY[1200:], LABELS[1200:])
""",
    "weights handed to a network": """
from sklearn.neural_network import MLPClassifier
rbm = BernoulliRBM(n_components=40, learning_rate=0.06, n_iter=10, random_state=0).fit(GREY[:1200])
mlp = MLPClassifier((40,), activation="logistic", warm_start=True, max_iter=1, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mlp.fit(GREY[:1200], LABELS[:1200])
    mlp.coefs_[0] = rbm.components_.T.copy()
    mlp.intercepts_[0] = rbm.intercept_hidden_.copy()
    for _ in range(80):
        mlp.fit(GREY[:1200], LABELS[:1200])
figure = mlp.score(GREY[1200:], LABELS[1200:])
""",
    "a pipeline in a grid search": """
from sklearn.model_selection import GridSearchCV
pipeline = Pipeline([("rbm", BernoulliRBM(n_iter=5, random_state=0)), ("logistic", LogisticRegression(max_iter=300))])
grid = {"rbm__n_components": [4, 64], "rbm__learning_rate": [0.06]}
search = GridSearchCV(pipeline, grid, cv=2).fit(GREY[:800], LABELS[:800])
assert search.best_params_["rbm__n_components"] == 64
figure = search.best_score_
""",
    "a stream": """
rbm = BernoulliRBM(n_components=32, learning_rate=0.05, batch_size=50, random_state=0)
for epoch in range(10):
    for start in range(0, 1000, 50):
        rbm.partial_fit((GREY[start : start + 50] > 0.5).astype(float))
figure = float(rbm.score_samples((GREY[1000:] > 0.5).astype(float)).mean())
""",
}

# How far below theirs the figure of ours may be; None where it only has to be a number in (0, 1).
SLACK = {
    "denoise": 0.01,
    "anomaly scores": 0.02,
    "label units": 0.03,
    "ratings": 0.05,
    "a deep stack": 0.03,
    "weights handed to a network": 0.03,
    "a pipeline in a grid search": 0.03,
    "a stream": 3.0,  # two standard errors of theirs, which looks at one random feature a sample
}


def run(script, package):
    names = {"GREY": GREY, "LABELS": LABELS}
    prelude = (
        "import warnings\nimport numpy as np\nfrom sklearn.pipeline import Pipeline\n"
        "from sklearn.linear_model import LogisticRegression\n"
    )
    exec(prelude + IMPORT.replace("sklearn.neural_network", package) + script, names)
    return names["figure"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_with_only_the_import_changed(name):
    ours, theirs = (run(SCRIPTS[name], package) for package in ("harmonium.sklearn", "sklearn.neural_network"))
    if name in SLACK:
        assert ours >= theirs - SLACK[name]
    else:
        assert 0 < ours < 1
