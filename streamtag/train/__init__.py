"""From audio to a network of your own: what musicnn-training does, on today's Python."""
