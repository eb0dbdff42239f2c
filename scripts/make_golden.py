"""Make the golden figures in tests/golden: what the published musicnn 0.1.0 says of clips that are our own.

In two steps, with two interpreters:

    python scripts/make_golden.py clips                # ours: cuts the clips from the demo
    PYTHON37 scripts/make_golden.py figures            # musicnn's: Python 3.7, TensorFlow 1.15, librosa 0.7.2,
                                                       # resampy 0.2.2, musicnn 0.1.0

`figures.npz` holds, for CLIP in clip16 (16 kHz mono) and clip44 (44.1 kHz stereo):
    CLIP/MODEL/taggram           (patches, 50), as published
    CLIP/MODEL/taggram32         the same without musicnn's rounding of the mel power to float16
    clip16/MODEL/FEATURE         every feature of the first patch (float32 mel power); of large ones every n-th row,
                                 n = max(1, size // 20000)
    clip16/MODEL/length1_hop05   input_length=1, input_overlap=0.5 (musicnn models)
    clip16/MODEL/length3_hop05   input_length=3, input_overlap=0.5
    resample/RATE/in, out        noise at nine rates, and what librosa 0.7.2 makes of it at 16 kHz
"""

import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
MODELS = ["MTT_musicnn", "MSD_musicnn", "MTT_vgg", "MSD_vgg"]
RATES = [8000, 11025, 22050, 32000, 44100, 48000, 88200, 96000, 192000]
START, SECONDS16, SECONDS44 = 13.0, 7.0, 3.6  # from the pads into the techno, where the tags change


def clips():
    """Cut the clips from the demo, as 16-bit FLAC."""
    import soundfile

    from streamtag.dsp.resampler import Resampler
    from streamtag.sources.opening import demo_clip

    music, rate = soundfile.read(demo_clip(), dtype="float32")
    start = int(START * rate)
    soundfile.write(FOLDER / "clip44.flac", music[start : start + int(SECONDS44 * rate)], rate, subtype="PCM_16")
    resampler = Resampler(rate)
    mono = music[start : start + int(SECONDS16 * rate)].mean(axis=1)
    soundfile.write(FOLDER / "clip16.flac", np.concatenate([resampler.push(mono), resampler.flush()]), 16000, "PCM_16")


def figures():
    """Ask the published musicnn."""
    import librosa
    from musicnn import extractor as musicnn

    float16 = np.float16
    kept = {}

    def taggram(clip, model, features=False, rounded=False, length=3, overlap=False):
        musicnn.np.float16 = float16 if rounded else np.float32
        path = str(FOLDER / (clip + ".flac"))
        return musicnn.extractor(path, model, length, overlap, extract_features=features)

    for clip in ("clip16", "clip44"):
        for model in MODELS:
            kept[f"{clip}/{model}/taggram"] = taggram(clip, model, rounded=True)[0]
            kept[f"{clip}/{model}/taggram32"] = taggram(clip, model)[0]
    for model in MODELS:
        features = taggram("clip16", model, features=True)[2]
        patches = len(kept[f"clip16/{model}/taggram"])
        for name, value in features.items():
            # per-frame features are patch-major; `penultimate` is right for the first patch only (see docs/parity.md)
            first = np.asarray(value, np.float32)[: max(1, len(value) // patches)]
            kept[f"clip16/{model}/{name}"] = first[:: max(1, first.size // 20000)]
        kept[f"clip16/{model}/length3_hop05"] = taggram("clip16", model, overlap=0.5)[0]
        if "vgg" not in model:
            kept[f"clip16/{model}/length1_hop05"] = taggram("clip16", model, length=1, overlap=0.5)[0]
    noise = np.random.RandomState(20261123)
    for rate in RATES:
        signal = (0.2 * noise.standard_normal(int(0.15 * rate) + 37)).astype(np.float32)
        kept[f"resample/{rate}/in"] = signal
        kept[f"resample/{rate}/out"] = librosa.resample(signal, rate, 16000)
    np.savez_compressed(str(FOLDER / "figures.npz"), **kept)
    for key in sorted(kept):
        print(key, kept[key].shape, kept[key].dtype)


if __name__ == "__main__":
    {"clips": clips, "figures": figures}[sys.argv[1]]()
