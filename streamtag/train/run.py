"""From spectrograms and tables to a model's file: what `streamtag train run` does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError, TrainingError
from streamtag.files.outputs import replacing
from streamtag.inference.networks.catalogue import SUFFIX, find_spec, weights_sha256
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import read_metadata, write_model
from streamtag.train.options import TrainOptions
from streamtag.train.patches import TrainingBatches
from streamtag.train.schedule import Schedule
from streamtag.train.state import Epoch, State, check_state, log_lines, read_state, state_path, write_state
from streamtag.train.store import Store
from streamtag.train.truth import Truth
from streamtag.train.validation import Validation, validate

if TYPE_CHECKING:
    from streamtag.train.loop import Training
    from streamtag.train.network import Trainee

LOG_SUFFIX = ".log.tsv"
VALIDATION_BATCH = 32
"""As published; as costs are means over batches, it is a part of the recipe."""
MOST_WEIGHT = 20.0
"""Of a rare tag's positives, with `balance`."""
OWN_LICENCE = "yours"


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told of what happens.

    Attributes
    ----------
    note : callable
        A line that a user should know.
    step : callable
        After each step: its number, how many there are in an epoch, and the batch's cost.
    epoch : callable
        After each epoch.
    """

    note: Callable[[str], None] = lambda text: None
    step: Callable[[int, int, float], None] = lambda step, steps, cost: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


class Run:
    """One run, ready to go.

    Parameters
    ----------
    store : Store
        The spectrograms.
    train, validation : Truth
        The tracks and tags of both sets; of the same labels.
    out : Path
        The model's file; beside it are written the log (``.log.tsv``) and what is needed to go on (``.state``).
    options : TrainOptions
        The recipe.
    told : Told or None
        Who is told.

    Raises
    ------
    OptionError, TrainingError, DataError, ModelError
        What cannot be trained, or not like this.
    """

    def __init__(
        self,
        store: Store,
        train: Truth,
        validation: Truth,
        out: Path,
        options: TrainOptions,
        told: Told | None = None,
    ) -> None:
        self.options = options.resolved()
        self.out, self._store, self._told = out, store, told or Told()
        if out.suffix != SUFFIX:
            raise OptionError(f"{out}: a model is written to a file that ends in {SUFFIX}")
        if options.base is not None:  # a base sets the architecture; say so early if there is none
            find_spec(options.base)
        self.train = self._within("--truth", train)
        self.validation = self._within("--validation", validation)
        if differing := sorted(set(train.labels) ^ set(validation.labels)):
            raise TrainingError(f"the two tables have different tags: {', '.join(differing[:10])}")
        if train.labels != validation.labels:
            raise TrainingError("the two tables have the same tags in another order: give both the same --labels")
        if both := sorted(set(self.train.ids) & set(self.validation.ids)):
            raise TrainingError(
                f"{len(both)} tracks are in both tables, such as {', '.join(both[:3])}: of what a network has learned "
                "from, it knows the answers; `streamtag train split` makes tables that do not overlap"
            )
        self._note_tags()
        self.devices = 1

    def _within(self, which: str, truth: Truth) -> Truth:
        known, absent = truth.within(self._store)
        if absent:
            self._told.note(
                f"{which}: {len(absent)} of {len(truth.ids)} tracks are not among the spectrograms, and are left out: "
                f"{', '.join(absent[:5])}{' ...' if len(absent) > 5 else ''}"
            )
        if not known.ids:
            raise TrainingError(
                f"{which}: none of its {len(truth.ids)} tracks is in {self._store.folder}, which has "
                f"{', '.join(self._store.ids[:3])} ...: the ids must be those that it was prepared with"
            )
        return known

    def _note_tags(self) -> None:
        counts = self.train.targets.sum(axis=0)
        never = [label for label, count in zip(self.train.labels, counts, strict=True) if count == 0]
        if never:
            self._told.note(f"no track to learn from has {', '.join(never[:10])}: the model will never say it")

    def start(self, *, resume: bool = False) -> Training:
        """Build the network, or what an interrupted run left of it.

        Parameters
        ----------
        resume : bool
            Whether to go on with what lies beside the model.

        Returns
        -------
        Training
            The loop, ready to run.

        Raises
        ------
        OptionError, TrainingError, ModelError, MissingExtraError
            What cannot be built, or gone on with.
        """
        from streamtag.train.backend import prepare_backend
        from streamtag.train.start import start_network, start_spec

        options = self.options
        if resume:  # what cannot be is said before Keras, which takes seconds
            check_state(state_path(self.out))
        self.spec = start_spec(options, self.train.labels, self._store.mels, self.out.stem)
        self.devices = prepare_backend(options.precision, options.seed)
        self.network = start_network(self.spec, options)
        if options.base is not None and not resume:
            self._regress()
        self.trainee = self._trainee()
        batches = TrainingBatches(
            self._store, self.train, options.frames, options.batch_size, options.seed, options.patches_per_track
        )
        from streamtag.train.loop import Training

        schedule = Schedule(options.learning_rate or 0, options.patience)
        training = Training(self.trainee, batches, self._validate, schedule, self.devices)
        self.steps = len(batches)
        if resume:
            shapes = [tuple(variable.shape) for variable in training.variables]
            state = read_state(state_path(self.out), self.recipe(), shapes)
            training.restore(state.variables, state.epochs, state.schedule)
        return training

    def go(self, training: Training) -> Epoch:
        """Train to the end.

        Parameters
        ----------
        training : Training
            What `start` gave.

        Returns
        -------
        Epoch
            The best one, whose network is in the file.

        Raises
        ------
        TrainingError, ModelError
            The network is lost, or the file cannot be written.
        DataError
            A damaged spectrogram.
        """
        options, told = self.options, self._told
        for epoch in training.run(
            options.epochs, options.stop_after or 0, lambda step, cost: told.step(step, self.steps, cost)
        ):
            if epoch.best:
                self._keep(epoch)
            with replacing(self.log) as file:
                file.write(log_lines(training.epochs).encode())
            state = State(self.recipe(), training.schedule, training.epochs, training.values())
            write_state(state_path(self.out), state)
            told.epoch(epoch)
        return [epoch for epoch in training.epochs if epoch.best][-1]

    @property
    def log(self) -> Path:
        """Where the log is written."""
        return self.out.with_suffix(LOG_SUFFIX)

    def recipe(self) -> dict[str, Any]:
        """What makes this run this run; how long it goes on does not."""
        fixed = {key: value for key, value in asdict(self.options).items() if key not in ("epochs", "stop_after")}
        base = {} if self.options.base is None else {"base_sha256": weights_sha256(self.options.base)}
        return fixed | base | {"truth": _digest(self.train), "validation": _digest(self.validation)}

    def _regress(self) -> None:
        """Put the new output where a regression says."""
        import keras

        from streamtag.train.first_head import first_head
        from streamtag.train.start import OUTPUT

        output = self.network.get_layer(OUTPUT)
        before = keras.Model(self.network.input, output.input)
        before.jit_compile = False
        options = self.options
        kernel, bias = first_head(
            lambda x: before.predict_on_batch(self._shared(x))[: len(x)],
            self._store,
            self.train,
            self.validation,
            options.frames,
            VALIDATION_BATCH,
            options.balance,
        )
        output.kernel.assign(kernel)
        output.bias.assign(bias)

    def _trainee(self) -> Trainee:
        import keras

        from streamtag.train.network import Trainee
        from streamtag.train.optimizers import make_optimizer
        from streamtag.train.start import OUTPUT

        options = self.options
        trainee = Trainee(self.network, options.weight_decay, _tag_weights(self.train) if options.balance else None)
        factor = None
        if options.base is not None and options.head_rate != 1:

            def factor(path: str) -> float:
                return options.head_rate if path.startswith(f"{OUTPUT}/") else 1.0

        optimizer = make_optimizer(options.optimizer, options.learning_rate or 0, factor)
        # XLA makes these convolutions slower on a CPU; under JAX there is nothing else
        trainee.compile(optimizer=optimizer, jit_compile="auto" if keras.backend.backend() == "jax" else False)
        trainee.optimizer.build(trainee.trainable_variables)
        return trainee

    def _validate(self) -> Validation:
        decay = self.trainee.decay()
        return validate(
            lambda x: np.asarray(self.trainee.predict_on_batch(self._shared(x)), np.float32)[: len(x)],
            self._store,
            self.validation,
            self.options.frames,
            VALIDATION_BATCH,
            decay,
        )

    def _shared(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """A batch that all devices can share evenly: with zeros behind it."""
        missing = -len(x) % self.devices
        return np.pad(x, ((0, missing), (0, 0), (0, 0))) if missing else x

    def _keep(self, epoch: Epoch) -> None:
        from streamtag.train.start import tensors_of

        tensors = tensors_of(self.network)
        spec = replace(
            self.spec,
            parameters=sum(tensor.size for tensor in tensors.values()),
            roc_auc=epoch.roc_auc,
            pr_auc=epoch.pr_auc,
            dataset=f"{len(self.train.ids)} tracks of one's own",
        )
        write_model(self.out, spec, tensors, self._origin(spec, epoch))

    def _origin(self, spec: ModelSpec, epoch: Epoch) -> dict[str, str]:
        """Where the weights come from."""
        options = self.options
        licence, start = OWN_LICENCE, "new weights"
        if options.base is not None:
            from streamtag.inference.networks.catalogue import find_weights

            path = find_weights(options.base)
            known = {} if path is None else read_metadata(path)
            start = f"the weights of {options.base} ({known.get('tensors_sha256', '')[:16]})"
            licence = f"{OWN_LICENCE}; of what it was made from: {known.get('licence', 'unknown')}"
        told = {
            key: None if isinstance(value, float) and isnan(value) else value for key, value in asdict(epoch).items()
        }
        return {
            "model": self.out.stem,
            "source": f"streamtag train, {spec.family} from {start}, epoch {epoch.number}, seed {options.seed}",
            "source_sha256": _digest(self.train),
            "licence": licence,
            "training": json.dumps(self.recipe() | {"epoch": told}),
        }


def _tag_weights(truth: Truth) -> Any:
    """How much each tag's positives count so that they weigh as much as all that have it not."""
    share = truth.targets.mean(axis=0, dtype=np.float64)
    return np.clip((1 - share) / np.maximum(share, 1e-9), 1.0, MOST_WEIGHT)


def _digest(truth: Truth) -> str:
    """Checksum of which tags are true of which tracks."""
    digest = hashlib.sha256(json.dumps([truth.ids, truth.labels]).encode())
    digest.update(np.ascontiguousarray(truth.targets, "<f4").tobytes())
    return digest.hexdigest()
