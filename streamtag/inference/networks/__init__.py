"""The published models: specifications, weights on disk, and the networks in NumPy and (on request) Keras."""
