"""From audio to a model of one's own, as musicnn-training does it. The only room that trains networks."""
