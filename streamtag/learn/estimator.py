"""`Head`: a scikit-learn classifier on features, whose result is plain arrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from threadpoolctl import threadpool_limits

from streamtag.dsp.params import LevelOption
from streamtag.errors import HeadError
from streamtag.heads.examples import TrainingSet
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import Array, Decision, PlainHead, Statistic
from streamtag.learn.splits import folds as split

Classifier = Literal["svm", "linear-svm", "logistic", "knn", "mlp"]
CLASSIFIERS: tuple[str, ...] = get_args(Classifier)
NEIGHBOURS = 5
HIDDEN = 64
PLATT_C = 100.0
"""Of the sigmoids: as good as unregularised, but finite where margins separate the classes wholly."""
DEAD = 1e-4
"""Of the largest spread: units with less count as 0. Most of the pools' are dead, and constant but for rounding."""


def one_thread() -> Any:
    """Keep BLAS to one thread meanwhile: on matrices this small its threads wait for each other (20 times slower)."""
    return threadpool_limits(1, "blas")


class _Scaler(StandardScaler):  # type: ignore[misc] # scikit-learn has no types
    """Scales units to a spread of 1, but for dead ones, whose rounding would then be louder than all else."""

    def fit(self, X: Array, y: None = None, sample_weight: None = None) -> _Scaler:  # noqa: N803
        super().fit(X, y, sample_weight)
        spread = np.sqrt(self.var_)
        self.scale_[spread <= DEAD * spread.max()] = np.inf
        return self


class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Classes of your own on top of a model's features: a scikit-learn estimator.

    PCA, then one classifier a class against the rest, then a sigmoid a class, fitted on rows that were left out.

    Parameters
    ----------
    classifier : {'svm', 'linear-svm', 'logistic', 'knn', 'mlp'}
        `svm` (rbf kernel, gamma scale), `linear-svm`, `logistic`, `knn` or `mlp`.
    pca : int or None
        Units kept, as far as there are rows for them; None for all features as they are.
    C : float
        Inverse regularisation of svm, linear-svm and logistic.
    folds : int
        How many the cross-validation behind the probabilities has.
    random_state : int or None
        Seed of all that is random.

    Attributes
    ----------
    classes_ : ndarray
        The classes; for several labels a row, the columns of `y`.
    decision_ : Decision
        What was learned, as plain arrays.
    calibrated_ : bool
        Whether there were enough rows to fit the sigmoids; else they are a plain guess.
    examples_ : TrainingSet or None
        What it was learned from, to be kept in its file (see `relearn`); None where that is not known.
    """

    def __init__(
        self,
        classifier: Classifier = "svm",
        *,
        pca: int | None = 128,
        C: float = 1.0,  # noqa: N803 - scikit-learn's name
        folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.classifier = classifier
        self.pca = pca
        self.C = C
        self.folds = folds
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Head:  # noqa: N803
        """Learn.

        Parameters
        ----------
        X : array_like, shape (rows, features)
            Features of each row.
        y : array_like, shape (rows,) or (rows, classes)
            One class each; or 0 and 1, any number of classes each.
        groups : array_like, shape (rows,), or None
            The file, artist or album of each: rows of one group are left out together.

        Returns
        -------
        Head
            This head.

        Raises
        ------
        ValueError
            One class alone, or values that cannot be used.
        """
        if self.classifier not in CLASSIFIERS:
            raise ValueError(f"classifier={self.classifier!r}: expected one of {', '.join(CLASSIFIERS)}")
        rows: Array
        truth: NDArray[Any]
        rows, truth = validate_data(self, X, y, multi_output=True, dtype=np.float64)
        check_classification_targets(truth)
        self.multilabel_ = type_of_target(truth) == "multilabel-indicator"
        if self.multilabel_:
            self.classes_ = np.arange(truth.shape[1])
            targets = truth.astype(bool)
        else:
            truth = column_or_1d(truth, warn=True)
            self.classes_ = np.unique(truth)
            targets = np.asarray(truth[:, None] == self.classes_)
            if len(self.classes_) < 2:
                raise ValueError(f"one class alone ({self.classes_[0]}): nothing can be told from anything")
        owner = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        if len(owner) != len(rows):
            raise ValueError(f"{len(owner)} groups for {len(rows)} rows: expected one each")
        with one_thread():
            self.decision_ = self._decision(rows, targets, owner)
        self.examples_: TrainingSet | None = TrainingSet.of(rows, targets, owner)
        return self

    def relearn(self, examples: TrainingSet, repeats: int = 1) -> Head:
        """Learn again, from what was kept of the first time and from corrections since.

        Parameters
        ----------
        examples : TrainingSet
            What to learn from. The order of the classes stays as it was.
        repeats : int
            How many times each corrected window counts.

        Returns
        -------
        Head
            This head.
        """
        times = np.where(examples.are_corrections, repeats, 1)
        rows, targets = examples.rows.astype(np.float64).repeat(times, axis=0), examples.targets.repeat(times, axis=0)
        with one_thread():
            self.decision_ = self._decision(rows, targets, examples.groups.astype(np.intp).repeat(times))
        self.examples_ = examples
        return self

    def decision_function(self, X: ArrayLike) -> Array:  # noqa: N803
        """Log-odds of each class: (rows, classes), or (rows,) of the second of two classes over the first."""
        check_is_fitted(self)
        logits = self.decision_.logits(self._checked(X))
        return logits[:, 1] - logits[:, 0] if not self.multilabel_ and len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Array:  # noqa: N803
        """Calibrated probabilities, (rows, classes)."""
        check_is_fitted(self)
        return self.decision_.probabilities(self._checked(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The likeliest class; with several labels a row, 0 and 1 for each."""
        chances = self.predict_proba(X)
        return (chances >= 0.5).astype(int) if self.multilabel_ else self.classes_[chances.argmax(axis=1)]

    def _checked(self, X: ArrayLike) -> Array:  # noqa: N803
        checked: Array = validate_data(self, X, reset=False, dtype=np.float64)
        return checked

    # --- learning -------------------------------------------------------------------------------------------------

    def _decision(self, X: Array, targets: NDArray[np.bool_], groups: NDArray[np.intp]) -> Decision:  # noqa: N803
        unseen = np.full(targets.shape, np.nan)
        usual, always = np.flatnonzero(groups >= 0), np.flatnonzero(groups < 0)  # corrections, which nothing is like
        for others, left_out in split(targets[usual], groups[usual], self.folds, self.random_state or 0):
            learn, test = np.concatenate((usual[others], always)), usual[left_out]
            arrays = self._learned(X[learn], targets[learn])
            known = targets[learn].any(axis=0) & ~targets[learn].all(axis=0)
            margins = Decision(_kind(self.classifier), not self.multilabel_, arrays).margins(X[test])
            unseen[test] = np.where(known, margins, np.nan)
        slope, intercept, self.calibrated_ = _sigmoids(unseen, targets)
        arrays = self._learned(X, targets)
        return Decision(
            _kind(self.classifier), not self.multilabel_, {**arrays, "slope": slope, "intercept": intercept}
        )

    def _learned(self, X: Array, targets: NDArray[np.bool_]) -> dict[str, Array]:  # noqa: N803
        """Fit scikit-learn's estimators and take their arrays out."""
        turn = make_pipeline(*self._steps(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)  # PCA's shares of a spread that is 0
            z = turn.fit_transform(X)  # as a pipeline fits: after other rounding, an iterative solver goes another way
            return _projection(turn, X.shape[1]) | self._classifier_arrays(z, targets)

    def _steps(self, X: Array) -> list[Any]:  # noqa: N803
        steps: list[Any] = [_Scaler()] if self.classifier in ("linear-svm", "logistic", "mlp") else []
        if self.pca is not None:
            units = min(self.pca, X.shape[1], max(1, len(X) - 1))
            steps.append(PCA(units, svd_solver="full"))
        return steps or ["passthrough"]

    def _classifier_arrays(self, z: Array, targets: NDArray[np.bool_]) -> dict[str, Array]:
        if self.classifier == "knn":
            neighbours = min(NEIGHBOURS, len(z))
            KNeighborsClassifier(neighbours, algorithm="brute").fit(z, targets)  # checks, and learns nothing else
            return {"vectors": z, "targets": targets.astype(float), "neighbours": np.array([float(neighbours)])}
        if self.classifier == "mlp":
            net = MLPClassifier((HIDDEN,), solver="lbfgs", alpha=10.0, random_state=self.random_state)
            net.fit(z, targets.astype(int))
            (weights, weights_out), (bias, bias_out) = net.coefs_, net.intercepts_
            return {"weights": weights, "bias": bias, "weights_out": weights_out, "bias_out": bias_out}
        fitted = [self._against_the_rest(z, column) for column in targets.T]
        if self.classifier == "svm":
            return _svm_arrays(fitted, z)
        units = z.shape[1]
        weights = [np.zeros(units) if one is None else one.coef_[0] for one in fitted]
        bias = [0.0 if one is None else float(one.intercept_[0]) for one in fitted]
        return {"weights": np.array(weights).T, "bias": np.array(bias)}

    def _against_the_rest(self, z: Array, column: NDArray[np.bool_]) -> Any:
        """One class against all others; None where there is nothing on one of the sides."""
        if column.all() or not column.any():
            return None
        match self.classifier:
            case "svm":
                return SVC(C=self.C, kernel="rbf", gamma="scale").fit(z, column)
            case "linear-svm":
                return LinearSVC(C=self.C, random_state=self.random_state, max_iter=10_000).fit(z, column)
            case _:
                return LogisticRegression(C=self.C, max_iter=1000).fit(z, column)

    # --- files ----------------------------------------------------------------------------------------------------

    def plain(
        self,
        *,
        name: str,
        model: str,
        features: tuple[str, ...],
        model_sha256: str = "",
        labels: tuple[str, ...] | None = None,
        statistic: Statistic = "mean",
        window_frames: int = 187,
        facts: Mapping[str, Any] | None = None,
        level: LevelOption = "off",
    ) -> PlainHead:
        """What was learned, ready to play: see `PlainHead` for the parameters; labels are `classes_` unless given."""
        check_is_fitted(self)
        return PlainHead(
            name=name,
            model=model,
            model_sha256=model_sha256,
            features=tuple(features),
            statistic=statistic,
            window_frames=window_frames,
            labels=tuple(map(str, self.classes_)) if labels is None else labels,
            decision=self.decision_,
            facts={
                "classifier": self.classifier,
                "options": {"pca": self.pca, "C": self.C, "folds": self.folds, "seed": self.random_state},
                **(facts or {}),
            },
            level=level,
            examples=self.examples_,
        )

    def save(self, path: str | Path, **about: Any) -> Path:
        """Write what was learned as a head file; `about` are the parameters of `plain` (its errors: HeadError)."""
        about.setdefault("name", Path(path).stem)
        return write_head(path, self.plain(**about))

    @classmethod
    def load(cls, path: str | Path) -> Head:
        """Read a head file as an estimator that predicts (nothing is executed).

        Raises
        ------
        HeadError
            Not a head, or damaged.
        """
        plain = load_head(path)
        classifier = plain.facts.get("classifier", "svm")
        if classifier not in CLASSIFIERS:
            raise HeadError(f"{path}: an unknown classifier, {classifier!r}")
        head = cls(classifier, **_options(plain.facts.get("options", {})))
        head.multilabel_ = not plain.decision.exclusive
        head.classes_ = np.array(plain.labels)
        head.n_features_in_ = len(plain.decision.arrays["projection"])
        head.decision_ = plain.decision
        head.calibrated_ = bool(plain.facts.get("calibrated", True))
        head.examples_ = plain.examples
        return head


def _options(told: Any) -> dict[str, Any]:
    """How a head was learned, as its file tells; what cannot be used is the default."""
    usable: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "pca": ("pca", lambda value: value is None or (type(value) is int and value > 0)),
        "C": ("C", lambda value: type(value) in (int, float) and 0 < value < math.inf),
        "folds": ("folds", lambda value: type(value) is int and value >= 2),
        "seed": ("random_state", lambda value: value is None or (type(value) is int and 0 <= value < 2**32)),
    }
    if not isinstance(told, Mapping):
        return {}
    return {name: told[key] for key, (name, fits) in usable.items() if key in told and fits(told[key])}


def _kind(classifier: str) -> Any:
    return "linear" if classifier in ("linear-svm", "logistic") else classifier


def _projection(turn: Pipeline, width: int) -> dict[str, Array]:
    """Scaling and turning as one matrix and an offset."""
    projection, offset = np.eye(width), np.zeros(width)
    for _, step in turn.steps:
        if isinstance(step, StandardScaler):
            projection = projection / step.scale_
            offset = (offset - step.mean_) / step.scale_
        elif isinstance(step, PCA):
            projection = projection @ step.components_.T
            offset = (offset - step.mean_) @ step.components_.T
    return {"projection": projection, "offset": offset}


def _svm_arrays(fitted: list[Any], z: Array) -> dict[str, Array]:
    """Support vectors of all classes once, with each class's weights for them."""
    used = sorted({int(row) for one in fitted if one is not None for row in one.support_})
    place = {row: index for index, row in enumerate(used)}
    weights = np.zeros((len(used), len(fitted)))
    bias = np.zeros(len(fitted))
    for k, one in enumerate(fitted):
        if one is not None:
            weights[[place[int(row)] for row in one.support_], k] = one.dual_coef_[0]
            bias[k] = one.intercept_[0]
    variance = float(z.var())
    gamma = 1 / (z.shape[1] * variance) if variance else 1.0  # scikit-learn's gamma="scale"
    return {"vectors": z[used], "weights": weights, "bias": bias, "gamma": np.array([gamma])}


def _sigmoids(unseen: Array, targets: NDArray[np.bool_]) -> tuple[Array, Array, bool]:
    """Slope and intercept of each class's sigmoid, and whether all could be fitted.

    Where a class was never left out, the sigmoid of all classes' margins together serves; where none was, margins are
    taken as log-odds.
    """
    answered = ~np.isnan(unseen)
    shared = _sigmoid(unseen[answered], targets[answered])
    pairs = [_sigmoid(unseen[answered[:, k], k], targets[answered[:, k], k]) for k in range(targets.shape[1])]
    slopes, intercepts = zip(*(pair or shared or (1.0, 0.0) for pair in pairs), strict=True)
    return np.array(slopes), np.array(intercepts), all(pair is not None for pair in pairs)


def _sigmoid(margins: Array, true: NDArray[np.bool_]) -> tuple[float, float] | None:
    if true.all() or not true.any():
        return None
    spread = float(margins.std()) or 1.0
    fitted = LogisticRegression(C=PLATT_C).fit(margins[:, None] / spread, true)
    slope = float(fitted.coef_[0, 0]) / spread
    # a negative slope means that unseen rows were predicted worse than chance: nothing is known, so nothing is claimed
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (0.0, float(np.log(true.mean() / (1 - true.mean()))))
