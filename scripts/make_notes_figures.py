"""Make tests/golden/notes.npz: what Spotify's basic-pitch says of plucked strings that are our own.

Run by a Python that has basic-pitch 0.4.0 and onnxruntime::

    PYTHON scripts/make_notes_figures.py
"""

import pathlib
import tempfile
import wave

import basic_pitch
import numpy as np
from basic_pitch.constants import AUDIO_N_SAMPLES, FFT_HOP
from basic_pitch.inference import Model, get_audio_input

TARGET = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "notes.npz"
RATE = 22_050
OVERLAP = 30 * FFT_HOP
"""As its `run_inference` has it."""


def strings() -> np.ndarray:
    """Five seconds of decaying tones with overtones, one each third of a second: int16."""
    time = np.arange(5 * RATE) / RATE
    sound = np.zeros(len(time))
    for number, pitch in enumerate([48, 55, 60, 64, 67, 72, 64, 60, 52, 57, 62, 65, 69, 74]):
        since = time - number / 3
        heard = since >= 0
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        for overtone in range(1, 6):
            wave_of = np.sin(2 * np.pi * frequency * overtone * since[heard]) / overtone
            sound[heard] += wave_of * np.exp(-(2 + overtone) * since[heard])
    return np.round(sound / np.abs(sound).max() * 0.7 * 2**15).astype(np.int16)


def main() -> None:
    """Write the figures."""
    sound = strings()
    model = Model(pathlib.Path(basic_pitch.__file__).parent / "saved_models" / "icassp_2022" / "nmp.onnx")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "strings.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
        windows = [window for window, *_ in get_audio_input(path, OVERLAP, AUDIO_N_SAMPLES - OVERLAP)]
    notes = np.concatenate([model.predict(window)["note"].max(axis=1) for window in windows])
    np.savez_compressed(TARGET, sound=sound, notes=notes)


if __name__ == "__main__":
    main()
