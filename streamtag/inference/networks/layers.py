"""Layers that the architectures share, where TensorFlow 1, with which they were published, differs from Keras 3.

Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any
"""A tensor of whichever backend Keras runs on, or Keras' symbol of one."""
SHARED = {"momentum": 0.99, "epsilon": 1e-3}
"""Of every batch norm, as TensorFlow 1 had it by default."""


def spread() -> keras.initializers.Initializer:
    """``tf.contrib.layers.variance_scaling_initializer``: normal, cut at twice its ``sqrt(1.3 * 2 / fan_in)``.

    The factor of 1.3 stands in for the variance that is cut off, where Keras divides by what is left: 0.3 % more here.
    """
    return keras.initializers.VarianceScaling(2.6 * CUT**2, "fan_in", "truncated_normal")


CUT = 0.87962566103423978
"""Standard deviation of a normal distribution that is cut at 2: Keras divides by it, TensorFlow 1 does not."""


class Norm(layers.BatchNormalization):
    """A batch norm whose moving variance follows an image's *unbiased* variance, as TensorFlow 1's fused kernel did.

    Keras 3 feeds it the biased one of all inputs; over the n values of a channel the two differ by n / (n - 1). Inputs
    of fewer axes, which the fused kernel does not take, have the biased one in both.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, **SHARED)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Norm by the batch's mean and variance in training, else by the moving ones."""
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        scale, offset = self.of_batch(inputs)
        return inputs * scale + offset

    def of_batch(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and offset that norm a batch, whose mean and variance the moving ones then follow."""
        dtype = self.variable_dtype  # sums of 16 bits would overflow
        mean, variance = ops.moments(ops.cast(inputs, dtype), axes=tuple(range(len(inputs.shape) - 1)))
        self.follow(mean, variance, inputs)
        scale = ops.cast(self.gamma, dtype) * ops.rsqrt(variance + self.epsilon)
        offset = ops.cast(self.beta, dtype) - mean * scale
        return ops.cast(scale, inputs.dtype), ops.cast(offset, inputs.dtype)

    def follow(self, mean: Tensor, variance: Tensor, inputs: Tensor) -> None:
        """Let the moving averages follow a batch's."""
        if len(inputs.shape) == 4:
            shape = ops.shape(inputs)
            count = ops.cast(shape[0] * shape[1] * shape[2], variance.dtype)
            variance = variance * (count / (count - 1))
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            value = ops.stop_gradient(value)
            moving.assign(moving * self.momentum + ops.cast(value, moving.dtype) * (1 - self.momentum))


class InputNorm(Norm):
    """The batch norm of the spectrogram, one channel, given to the first convolutions as a factor and an offset.

    A normed spectrogram would need a gradient as large as itself, through every first convolution; these two do not.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        """Scale and offset, (1,) each, of images (batch, frames, bands, 1)."""
        if training and self.trainable:
            return self.of_batch(inputs)
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        return scale, self.beta - self.moving_mean * scale

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int], tuple[int]]:
        """Two scalars."""
        return (1,), (1,)


class FirstConvolution(layers.Conv2D):
    """A convolution of a spectrogram that is yet to be normed: ``scale * image + offset``, zeros around it in time.

    As a convolution is linear, scale goes into its filters, and what the offset brings is the same for all patches and
    all bands: it differs only near the patch's ends, where the filters reach the zeros.

    Parameters
    ----------
    filters : int
        How many.
    kernel : tuple of int
        Frames and bands that they span.
    name : str
        Name of the layer.
    frequency : {'valid', 'same'}
        Whether there are zeros around the image in frequency, too.
    time : {'valid', 'same'}
        Whether there are in time.
    initializer : str or keras.initializers.Initializer
        Of the filters.
    """

    def __init__(
        self,
        filters: int,
        kernel: tuple[int, int],
        name: str,
        frequency: str = "valid",
        time: str = "same",
        initializer: Any = "glorot_uniform",
    ) -> None:
        super().__init__(filters, kernel, name=name, kernel_initializer=initializer)
        around = zip((time, frequency), kernel, strict=True)
        # an even number of taps has the greater half behind, as TensorFlow has it
        self.around = tuple(((n - 1) // 2, n // 2) if side == "same" else (0, 0) for side, n in around)

    def build(self, input_shape: Any) -> None:
        """Make the weights: of images, whatever norm comes with them."""
        super().build((None, None, None, 1))

    def call(self, image: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """Convolve images (batch, frames, bands, 1)."""
        padding = ((0, 0), *self.around, (0, 0))
        if self.around[1] == (0, 0):  # the same for all bands
            ones = ops.ones_like(image[:1, :, : self.kernel_size[1]])
        else:
            ones = ops.ones_like(image[:1])
        constant = ops.conv(ops.pad(ones, padding), self.kernel * offset)
        return ops.conv(ops.pad(image, padding), self.kernel * scale) + (constant + self.bias)

    def compute_output_shape(self, image: tuple[int | None, ...], *_: Any) -> tuple[int | None, ...]:
        """(batch, frames, bands, filters), fewer frames and bands where there are no zeros around them."""
        sizes = [
            None if size is None else size + sum(zeros) - taps + 1
            for size, zeros, taps in zip(image[1:3], self.around, self.kernel_size, strict=True)
        ]
        return (image[0], *sizes, self.filters)


class GreatestNorm(Norm):
    """Relu, batch norm, then the maximum over frequency: (batch, frames, bands, channels) to (batch, frames, channels).

    In training, the norm is applied to the greatest value of a channel whose scale is positive, and to the least of one
    whose scale is negative: the same maximum, and the same gradients, without a normed image in memory.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The greatest normed value of each frame."""
        image = ops.relu(inputs)
        if not (training and self.trainable):
            return ops.max(super().call(image, training=False), axis=2)
        scale, offset = self.of_batch(image)
        extreme = ops.where(scale >= 0, ops.max(image, axis=2), ops.min(image, axis=2))
        return extreme * scale + offset

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Without the bands."""
        return (*input_shape[:2], input_shape[3])


class PositionalEncoding(layers.Layer):
    """Adds where a frame is in the patch: sines of even channels, cosines of odd ones, each of another period.

    Channel i has the angle ``t / 10000 ** (2 i / channels)``. Vaswani et al. (2017) pair channels up, so that the
    exponent ends at 1; the published code does not, and its ends at 2.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Features (batch, frames, channels) and what stands for their places."""
        _, frames, channels = inputs.shape
        i = ops.arange(channels, dtype=inputs.dtype)
        time = ops.arange(frames, dtype=inputs.dtype)
        angle = time[:, None] / 10000 ** (2 * i / channels)
        return inputs + ops.where(i % 2 == 0, ops.sin(angle), ops.cos(angle))


class AutoPool(layers.Layer):
    """Mean over time, weighted by a softmax of alpha times the features (McFee et al., 2018); alpha is one scalar.

    At 0, where it starts, this is the mean; the greater alpha, the closer to the maximum.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make alpha."""
        self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")

    def call(self, inputs: Tensor) -> Tensor:
        """Features (batch, frames, channels) to (batch, channels)."""
        return ops.sum(ops.softmax(self.alpha * inputs, axis=1) * inputs, axis=1)


class LstmCell(layers.Layer):
    """A step of a long short-term memory, from what the inputs bring to each gate.

    Gates in the order input, forget, cell, output, with sigmoids, as Keras has them.

    Parameters
    ----------
    units : int
        Width of its state and output.
    """

    def __init__(self, units: int) -> None:
        super().__init__(name="cell")
        self.units = self.output_size = units
        self.state_size = [units, units]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        self.recurrent_kernel = self.add_weight((self.units, 4 * self.units), "orthogonal", name="recurrent_kernel")

    def call(self, inputs: Tensor, states: list[Tensor], training: bool | None = None) -> tuple[Tensor, list[Tensor]]:
        """Output and state after a step: inputs (batch, 4 * units), states output and cell, (batch, units) each."""
        output, cell = states
        gates = inputs + ops.matmul(output, self.recurrent_kernel)
        taken, kept, new, given_out = ops.split(gates, 4, axis=-1)
        cell = ops.sigmoid(kept) * cell + ops.sigmoid(taken) * ops.tanh(new)
        output = ops.sigmoid(given_out) * ops.tanh(cell)
        return output, [output, cell]


class Lstm(layers.Layer):
    """A long short-term memory with cuDNN's two biases, of which each gets the whole gradient.

    Only their sum has an effect; but an optimiser moves both, and so the sum by twice the step that a single bias would
    make.

    Parameters
    ----------
    units : int
        Width of its state and output.
    sequences : bool
        Whether it gives its output at each time, or the last one.
    name : str
        Name of the layer.
    """

    def __init__(self, units: int, sequences: bool, name: str) -> None:
        super().__init__(name=name)
        self.units = units
        self.recurrence = layers.RNN(LstmCell(units), return_sequences=sequences, name="recurrence")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights as cuDNN's layer made them: biases 0 but for the recurrent ones of the forget gate."""
        units = self.units
        forget = np.zeros(8 * units)
        forget[5 * units : 6 * units] = 1
        self.kernel = self.add_weight((input_shape[-1], 4 * units), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((8 * units,), lambda _, dtype: ops.convert_to_tensor(forget, dtype), name="bias")
        self.recurrence.build((*input_shape[:2], 4 * units))

    def call(self, inputs: Tensor) -> Tensor:
        """Features (batch, frames, channels) to (batch, frames, units) or (batch, units)."""
        bias = self.bias[: 4 * self.units] + self.bias[4 * self.units :]
        return self.recurrence(ops.matmul(inputs, self.kernel) + bias)


def convolution(filters: int, kernel: int | tuple[int, int], name: str, **options: Any) -> layers.Layer:
    """A convolution over time, or over time and frequency, with the initialiser of musicnn-training's."""
    layer = layers.Conv1D if isinstance(kernel, int) else layers.Conv2D
    return layer(filters, kernel, name=name, **{"kernel_initializer": spread(), **options})


def dense(units: int, name: str, activation: str | None = None) -> layers.Dense:
    """A dense layer with the initialiser of musicnn-training's."""
    return layers.Dense(units, activation, kernel_initializer=spread(), name=name)


def scores(hidden: Tensor, tags: int) -> dict[str, Tensor]:
    """The last layer: what training looks at (`logits`), and the scores (`taggram`)."""
    logits = dense(tags, "tags")(hidden)
    return {"taggram": layers.Activation("sigmoid", name="taggram")(logits), "logits": logits}
