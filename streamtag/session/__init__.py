"""The parts of a live session: its intake and outlet, its meters."""
