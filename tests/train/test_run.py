"""Runs of training: from spectrograms and tables to a model that plays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamtag.errors import OptionError, StreamtagError, TrainingError
from streamtag.inference.networks.catalogue import find_spec, load_weights
from streamtag.train.options import Freeze, Precision, TrainOptions
from streamtag.train.run import Run, Told
from streamtag.train.state import Epoch, state_path
from streamtag.train.store import Store
from streamtag.train.truth import Truth
from tests.support.stores import store_of

pytestmark = pytest.mark.tensorflow

TAGS = ("low", "high")
QUICK = TrainOptions(architecture="dieleman", epochs=4, batch_size=8, seed=3)
FURTHER = TrainOptions(base="MTT_vgg", epochs=2, batch_size=8)


def tracks(count: int, first: int = 0) -> tuple[dict[str, np.ndarray], Truth]:
    """Noise in the lower or the upper bands, in both or in none, and which it is."""
    rng = np.random.default_rng(first)
    arrays, targets = {}, []
    for number in range(first, first + count):
        low, high = number % 2, number // 2 % 2
        power = 1e-4 * rng.random((rng.integers(187, 260), 96))
        power[:, :40] += low * rng.random((len(power), 40))
        power[:, 60:] += high * rng.random((len(power), 36))
        arrays[f"track {number}"] = power.astype(np.float32)
        targets.append((low, high))
    return arrays, Truth(tuple(arrays), TAGS, np.array(targets, np.float32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Truth, Truth]:
    learned, train = tracks(32)
    kept, validation = tracks(8, 100)
    return store_of(tmp_path_factory.mktemp("data"), learned | kept), train, validation


Trained = Callable[..., list[Epoch]]


@pytest.fixture
def trained(data: tuple[Store, Truth, Truth], tmp_path: Path) -> Trained:
    def train(out: str, options: TrainOptions, *, resume: bool = False, notes: list[str] | None = None) -> list[Epoch]:
        told: list[Epoch] = []
        run = Run(*data, tmp_path / out, options, Told(note=(notes or []).append, epoch=told.append))
        run.go(run.start(resume=resume))
        return told

    return train


def test_it_learns_and_keeps_the_best(trained: Trained, tmp_path: Path) -> None:
    epochs = trained("my.safetensors", replace(QUICK, epochs=12))
    assert [epoch.number for epoch in epochs] == list(range(1, 13))
    assert np.isnan(epochs[0].train_cost), "the first only validates"
    best = min(epochs, key=lambda epoch: epoch.val_cost)
    assert best.val_cost < 0.5 * epochs[0].val_cost
    assert best.roc_auc > 0.95
    spec = find_spec(str(tmp_path / "my.safetensors"))
    assert (spec.family, spec.labels, spec.trained) == ("dieleman", TAGS, True)
    assert spec.roc_auc == pytest.approx(best.roc_auc)
    about = json.loads(load_weights(str(tmp_path / "my.safetensors")).metadata["training"])
    assert about["epoch"]["number"] == best.number
    assert (about["seed"], about["architecture"]) == (3, "dieleman")


def test_the_log_has_the_published_columns(trained: Trained, tmp_path: Path) -> None:
    epochs = trained("my.safetensors", QUICK)
    heading, *lines = (tmp_path / "my.log.tsv").read_text().splitlines()
    assert heading.split("\t")[:5] == ["Epoch", "train_cost", "val_cost", "epoch_time", "learing_rate"]
    assert len(lines) == 4
    cells = lines[1].split("\t")
    assert cells[0] == "2"
    assert float(cells[1]) == pytest.approx(epochs[1].train_cost, rel=1e-5)
    assert cells[3].endswith("s")
    assert float(cells[4]) == 1e-3
    assert lines[0].split("\t")[1] == "nan"


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(trained: Trained, tmp_path: Path) -> None:
    whole = trained("whole.safetensors", QUICK)
    first = trained("parts.safetensors", replace(QUICK, epochs=2))
    rest = trained("parts.safetensors", QUICK, resume=True)
    assert [epoch.number for epoch in rest] == [3, 4]
    for one, other in zip(whole, [*first, *rest], strict=True):
        assert other.val_cost == pytest.approx(one.val_cost, rel=1e-4)
    assert len((tmp_path / "parts.log.tsv").read_text().splitlines()) == 5


def test_ctrl_c_keeps_the_best_so_far(data: tuple[Store, Truth, Truth], tmp_path: Path) -> None:
    def step(number: int, steps: int, cost: float) -> None:
        if len(told) == 2 and number == 2:
            raise KeyboardInterrupt

    told: list[Epoch] = []
    run = Run(*data, tmp_path / "my.safetensors", QUICK, Told(step=step, epoch=told.append))
    training = run.start()
    with pytest.raises(KeyboardInterrupt):
        run.go(training)
    assert find_spec(str(tmp_path / "my.safetensors")).labels == TAGS
    again: list[Epoch] = []
    run = Run(*data, tmp_path / "my.safetensors", QUICK, Told(epoch=again.append))
    run.go(run.start(resume=True))
    assert [epoch.number for epoch in told + again] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, r"of another run: seed 3 \(now 4\)"),
        ({"batch_size": 4}, "batch_size 8"),
        ({"architecture": "vgg32"}, "architecture 'dieleman'"),
    ],
)
def test_a_run_goes_on_with_its_own_recipe_only(trained: Trained, change: dict[str, object], message: str) -> None:
    trained("my.safetensors", replace(QUICK, epochs=2))
    with pytest.raises(TrainingError, match=message):
        trained("my.safetensors", replace(QUICK, **change), resume=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["cut", "foreign", "none"])
def test_a_state_that_cannot_be_is_refused(trained: Trained, tmp_path: Path, damage: str) -> None:
    trained("my.safetensors", replace(QUICK, epochs=2))
    state = state_path(tmp_path / "my.safetensors")
    if damage == "cut":
        state.write_bytes(state.read_bytes()[:-100])
    elif damage == "foreign":
        state.write_bytes((tmp_path / "my.safetensors").read_bytes())
    else:
        state.unlink()
    with pytest.raises(TrainingError, match=r"leave --resume out|not the state of a run"):
        trained("my.safetensors", QUICK, resume=True)


def test_further_from_a_published_model(trained: Trained, tmp_path: Path) -> None:
    epochs = trained("my.safetensors", FURTHER)
    assert epochs[0].roc_auc > 0.9, "the new output begins where a regression says"
    base, mine = load_weights("MTT_vgg").tensors, load_weights(str(tmp_path / "my.safetensors"))
    assert mine.spec.residuals == find_spec("MTT_vgg").residuals
    for key, value in base.items():
        if key.startswith(("input_norm", "cnn1_")):
            np.testing.assert_array_equal(mine.tensors[key], value, err_msg=key)
    assert mine.tensors["tags/kernel"].shape == (256, 2)
    assert "ISC, Copyright" in mine.metadata["licence"]
    assert "from the weights of MTT_vgg" in mine.metadata["source"]


@pytest.mark.parametrize(("freeze", "kept"), [("all-but-head", True), ("none", False)])
def test_what_is_frozen_keeps_its_weights(trained: Trained, tmp_path: Path, freeze: Freeze, kept: bool) -> None:
    options = replace(FURTHER, freeze=freeze, learning_rate=1e-3, head_rate=10)
    trained("my.safetensors", options)
    run_state = state_path(tmp_path / "my.safetensors")
    assert run_state.is_file()
    base, mine = load_weights("MTT_vgg").tensors, load_weights(str(tmp_path / "my.safetensors")).tensors
    same = all(np.array_equal(mine[key], value) for key, value in base.items() if not key.startswith("tags/"))
    assert same == kept or not kept  # where nothing is frozen, the best may be the network as it started


def test_a_base_of_ones_own(trained: Trained, tmp_path: Path) -> None:
    trained("first.safetensors", replace(QUICK, epochs=3))
    further = TrainOptions(base=str(tmp_path / "first.safetensors"), freeze="none", epochs=2, batch_size=8)
    trained("second.safetensors", further)
    assert find_spec(str(tmp_path / "second.safetensors")).family == "dieleman"


def test_early_stopping(trained: Trained) -> None:
    options = replace(FURTHER, freeze="all-but-head", learning_rate=1e-20, epochs=50, stop_after=2)
    epochs = trained("my.safetensors", options)
    assert [epoch.best for epoch in epochs] == [True, False, False]


def test_rare_tags_may_count_more(trained: Trained) -> None:
    plain = trained("plain.safetensors", replace(QUICK, epochs=2))
    balanced = trained("balanced.safetensors", replace(QUICK, epochs=2, balance=True))
    assert plain[0].val_cost == balanced[0].val_cost, "validation is as published"


def test_a_lost_network_ends_the_run_and_is_not_kept(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the network is lost; try a smaller --learning-rate"):
        trained("my.safetensors", replace(QUICK, optimizer="sgd", learning_rate=1e30))
    assert all(np.isfinite(t).all() for t in load_weights(str(tmp_path / "my.safetensors")).tensors.values())


def test_tables_that_do_not_fit_are_refused(data: tuple[Store, Truth, Truth], tmp_path: Path) -> None:
    store, train, validation = data
    out = tmp_path / "my.safetensors"
    notes: list[str] = []

    def run(train: Truth = train, validation: Truth = validation, out: Path = out, **options: object) -> Run:
        return Run(store, train, validation, out, replace(QUICK, **options), Told(note=notes.append))  # type: ignore[arg-type]

    with pytest.raises(TrainingError, match="8 tracks are in both tables"):
        run(train=validation)
    with pytest.raises(TrainingError, match="different tags: high, loud"):
        run(validation=replace(validation, labels=("low", "loud")))
    with pytest.raises(TrainingError, match="none of its 2 tracks is in"):
        run(train=Truth(("a", "b"), TAGS, np.ones((2, 2), np.float32)))
    with pytest.raises(OptionError, match=r"ends in \.safetensors"):
        run(out=tmp_path / "my.keras")
    with pytest.raises(OptionError, match="name it with --from"):
        run(freeze="front-end")
    some = Truth((*train.ids, "gone"), TAGS, np.concatenate((train.targets, np.ones((1, 2), np.float32))))
    never = replace(some, targets=some.targets * np.array([1, 0], np.float32))
    assert run(train=never).train.ids == train.ids
    assert any("1 of 33 tracks are not among the spectrograms" in note for note in notes)
    assert any("no track to learn from has high" in note for note in notes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"head_rate": -1.0},
        {"weight_decay": float("inf")},
        {"patience": -1},
        {"seed": -1},
        {"epochs": 0},
        {"batch_size": 0},
        {"architecture": "transformer"},
        {"frames": 3},
    ],
)
def test_options_that_cannot_be(data: tuple[Store, Truth, Truth], tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(StreamtagError):
        Run(*data, tmp_path / "my.safetensors", replace(QUICK, **wrong)).start()  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(trained: Trained, precision: Precision) -> None:
    import keras

    try:
        epochs = trained("my.safetensors", replace(QUICK, precision=precision, epochs=3))
    finally:
        keras.config.set_dtype_policy("float32")
    assert min(epoch.val_cost for epoch in epochs) < 0.8 * epochs[0].val_cost


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras 3.15's callback
def test_costs_for_tensorboard(trained: Trained, tmp_path: Path) -> None:
    import keras

    from streamtag.train.events import events_writer

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam")
    write = events_writer(tmp_path / "events", model)
    for epoch in trained("my.safetensors", replace(QUICK, epochs=2)):
        write(epoch)
    written = b"".join(path.read_bytes() for path in (tmp_path / "events").rglob("events.out.tfevents.*"))
    assert all(name in written for name in (b"epoch_loss", b"epoch_learning_rate", b"epoch_roc_auc"))
