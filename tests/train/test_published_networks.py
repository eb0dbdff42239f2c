"""The nine architectures against the published code: outputs, gradients and Adam's steps."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from streamtag.inference.networks.architectures import ARCHITECTURES, find_architecture
from streamtag.inference.networks.network import build, layer_shapes, variables
from tests.support.oracle import figures, needs_oracle, recipe
from tests.support.published_training import NO_GRADIENT, STEPPED, STEPS, keys, set_recipe, spec_of

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What all of ours give in float64, by ``architecture/figure``."""
    out = tmp_path_factory.mktemp("published") / "ours.npz"
    command = [sys.executable, "-m", "tests.support.published_training", str(out), *ARCHITECTURES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as file:
        return dict(file)


@cache
def published(name: str) -> dict[str, np.ndarray]:
    return figures(f"model_{find_architecture(name).number:02d}")


def test_every_variable_has_a_published_one() -> None:
    for name in ARCHITECTURES:
        spec = spec_of(name)
        assert sorted(keys(spec)) == sorted(layer_shapes(spec))


@needs_oracle
@pytest.mark.parametrize("name", ARCHITECTURES)
class TestInFloat64:
    """The published graph, built in float64, and ours: the same mathematics."""

    def test_parameters(self, found: dict[str, np.ndarray], name: str) -> None:
        assert found[f"{name}/parameters"].tolist() == published(name)["parameters"].tolist()
        assert find_architecture(name).parameters == published(name)["parameters"][0]

    def test_outputs(self, found: dict[str, np.ndarray], name: str) -> None:
        for mode in ("infer", "train", "mask"):
            if f"{name}/logits_{mode}" in found:
                np.testing.assert_allclose(
                    found[f"{name}/logits_{mode}"], published(name)[f"f64/logits_{mode}"], rtol=0, atol=1e-9
                )
        assert (f"{name}/logits_mask" in found) == bool(len(published(name)["dropout"]))
        np.testing.assert_allclose(found[f"{name}/cost_train"], published(name)["f64/cost_train"], rtol=1e-12)

    def test_gradients(self, found: dict[str, np.ndarray], name: str) -> None:
        norms = published(name)["f64/gradient_norm"]
        compared = 0
        for place, key in enumerate(keys(spec_of(name))):
            if np.isnan(norms[place]):  # not trained, or without effect
                assert not found.get(f"{name}/gradient/{place}", np.zeros(1)).any()
            elif key != NO_GRADIENT:
                wanted = published(name)[f"f64/gradient/{place}"]
                error = np.abs(found[f"{name}/gradient/{place}"] - wanted).max()
                assert error <= 1e-6 * norms[place], key
                compared += 1
        assert compared >= 10

    def test_costs(self, found: dict[str, np.ndarray], name: str) -> None:
        wanted = published(name)["f64/adam_losses"][: STEPS if name in STEPPED else 1]
        np.testing.assert_allclose(found[f"{name}/adam_losses"], wanted, rtol=0, atol=1e-8)


@needs_oracle
@pytest.mark.parametrize(
    ("name", "step"), [*((name, 1) for name in ARCHITECTURES), *((name, STEPS) for name in STEPPED)]
)
def test_weights_after_steps_of_adam(found: dict[str, np.ndarray], name: str, step: int) -> None:
    for place, key in enumerate(keys(spec_of(name))):
        if key != NO_GRADIENT:
            wanted = published(name)[f"f64/adam_weights_{step}/{place}"]
            # moving variances of some tens: the published graph has a momentum that is rounded to float32
            atol = 1e-7 * max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(found[f"{name}/adam_weights_{step}/{place}"], wanted, rtol=0, atol=atol)


@needs_oracle
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_in_float32(name: str) -> None:
    """Within what the published float32 differs from exact arithmetic itself: its fused batch norm adds in float32."""
    spec = spec_of(name)
    network = build(spec, spec.frames)
    set_recipe(spec, dict(variables(network)))
    logits = network(recipe().inputs(0), training=False)["logits"]
    np.testing.assert_allclose(np.asarray(logits), published(name)["logits_infer"], rtol=0, atol=1e-4)
