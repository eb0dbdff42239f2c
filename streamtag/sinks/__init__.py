"""Where frames go: one file a sink."""
