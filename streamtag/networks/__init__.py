"""The published models: specifications, weights on disk, and (on request) the Keras networks."""
