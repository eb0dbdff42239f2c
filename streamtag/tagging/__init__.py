"""From samples to tags without threads or a clock: windows, smoothing, top N, the gate."""
