"""What the datagrams of one result cost: prebuilt, against built message by message: ``python -m bench.osc``."""

from __future__ import annotations

import numpy as np

from bench.frames import best
from streamtag._slugs import slug
from streamtag.inference.networks.labels import MSD_LABELS
from streamtag.osc.sink import _ScoreDatagrams, bundle, grouped, message


def main() -> None:
    """Print both."""
    scores = np.random.default_rng(0).random(50).astype(np.float32)
    prebuilt = _ScoreDatagrams([f"/streamtag/tag/{slug(label)}" for label in MSD_LABELS])
    addresses = [f"/streamtag/tag/{slug(label)}" for label in MSD_LABELS]

    def build() -> list[bytes]:
        messages = [message(address, float(score)) for address, score in zip(addresses, scores, strict=True)]
        return [bundle(group) for group in grouped(messages)]

    assert [bytes(datagram) for datagram in prebuilt.fill(scores)] == build()
    print("microseconds for the datagrams of 50 tags, unsent:")
    print(f"  prebuilt, numbers overwritten {best(lambda: list(prebuilt.fill(scores)), 500) * 1e6:8.1f}")
    print(f"  built by python-osc           {best(build, 100) * 1e6:8.1f}")


if __name__ == "__main__":
    main()
