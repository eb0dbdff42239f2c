"""A source of your own: anything that writes samples into a ring. Here a tone that glides, for ten seconds."""

import threading
import time

import numpy as np

import streamtag


class Glide:
    """Follows `streamtag.Source`: a name, a ring, how it is, and when to begin and end."""

    name = "a tone that glides"
    error = recovering = note = None

    def __init__(self, seconds: float = 10.0, rate: int = 44_100) -> None:
        self.ring = streamtag.RingBuffer(rate)
        self._stopping = threading.Event()
        times = np.arange(int(seconds * rate)) / rate
        self._samples = (0.1 * np.sin(2 * np.pi * (220 * times + 50 * times**2))).astype(np.float32)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def finished(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        began, size = time.monotonic(), self.ring.samplerate // 100
        for place in range(0, len(self._samples), size):
            due = began + (place + size) / self.ring.samplerate  # a sound card would deliver it then
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            self.ring.write(self._samples[place : place + size])


if __name__ == "__main__":
    with streamtag.Session(Glide(), streamtag.Tagger("MTT_musicnn", hop=0.25)) as session:
        for frame in session:
            print(f"{frame.time:5.2f} s", *(f"{tag} {score:.2f}" for tag, score in frame.top))
