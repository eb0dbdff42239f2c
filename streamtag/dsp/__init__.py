"""From samples to log-mel frames: parameters, resampler, kernels."""
