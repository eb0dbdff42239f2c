"""The sliding evaluation of musicnn's vgg baseline."""
