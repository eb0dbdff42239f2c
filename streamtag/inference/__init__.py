"""From log-mel frames to predictions: the interface, whole patches, the sliding engines, the networks."""
