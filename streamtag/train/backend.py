"""What is set for a whole process before a network is built: precision, random numbers, processors and GPUs."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from streamtag.errors import MissingExtraError, OptionError
from streamtag.inference.networks.network import import_keras, import_tensorflow
from streamtag.train.options import Precision


def prepare_backend(precision: Precision, seed: int) -> int:
    """Set Keras up for a run.

    Parameters
    ----------
    precision : {'float32', 'bfloat16', 'float16'}
        Of the computation; weights stay float32 (Keras' mixed precision).
    seed : int
        Of initial weights and dropout.

    Returns
    -------
    int
        How many devices share each batch: all that JAX sees, else 1. Keras 3 distributes data under JAX only.

    Raises
    ------
    MissingExtraError
        Keras or its backend is not installed.
    OptionError
        A precision that is none.
    """
    keras = import_keras()
    with suppress(MissingExtraError):  # Keras seeds it on every backend, where it is installed: here it is quiet
        import_tensorflow()
    if precision not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"the precision {precision!r}: float32, bfloat16 and float16 are known")
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(seed % 2**32)
    return _distribute(keras) if keras.backend.backend() == "jax" else 1


def _distribute(keras: Any) -> int:
    devices = len(keras.distribution.list_devices())
    if devices > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return devices


def describe_backend() -> str:
    """What computes, for people: the backend and its devices."""
    keras = import_keras()
    name: str = keras.backend.backend()
    devices = []
    if name == "tensorflow":
        import tensorflow as tf

        devices = [device.device_type for device in tf.config.list_physical_devices()]
    elif name == "jax":
        import jax

        devices = [device.device_kind for device in jax.devices()]
    elif name == "torch":
        import torch

        devices = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())] or ["CPU"]
    kinds = Counter(devices).items()
    return f"Keras on {name} ({', '.join(f'{count} x {kind}' if count > 1 else kind for kind, count in kinds)})"
