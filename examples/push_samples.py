"""Push samples from any source of your own into a Tagger, here a file read block by block.

python examples/push_samples.py song.wav
"""

from __future__ import annotations

import sys

import soundfile

import streamtag


def main() -> None:
    """Print the top tags once a second."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/push_samples.py song.wav")
    tagger = streamtag.Tagger("MSD_musicnn", hop=1.0, top=3)
    with soundfile.SoundFile(sys.argv[1]) as sound:
        for block in sound.blocks(blocksize=4096, dtype="float32"):
            for frame in tagger.push(block, sound.samplerate):
                print(f"{frame.time:6.1f} s ", ", ".join(f"{tag} {score:.2f}" for tag, score in frame.top))


if __name__ == "__main__":
    main()
