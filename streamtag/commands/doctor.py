"""streamtag doctor: what there is on this machine, in a form to paste into a report."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Annotated

import typer

from streamtag import __version__
from streamtag._compile.progress import listening
from streamtag._system.stderr import c_libraries_silent

app = typer.Typer()
EXTRAS = ("tensorflow", "keras", "pyarrow", "pillow", "python-rtmidi", "paho-mqtt", "zeroconf")
SOUND_VARIABLES = ("PULSE_SERVER", "PULSE_SOURCE", "PIPEWIRE_REMOTE", "XDG_RUNTIME_DIR", "JACK_DEFAULT_SERVER")
OWN_VARIABLES = ("STREAMTAG_MODELS", "STREAMTAG_CACHE", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "KERAS_BACKEND")


@app.command(
    epilog="Examples: [bold]streamtag doctor[/bold] · [bold]streamtag doctor --osc lights.local:7000[/bold] · "
    "[bold]streamtag doctor > report.txt[/bold]"
)
def doctor(
    osc: Annotated[
        list[str] | None,
        typer.Option(help="Also look this OSC destination up; repeatable.", metavar="HOST:PORT"),
    ] = None,
) -> None:
    """Print versions, processor, PortAudio's devices, caches, models and destinations, to paste into a report."""
    sections: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
        ("streamtag", _versions),
        ("processor", _processor),
        ("sound", _sound),
        ("kernels", _kernels),
        ("models", _models),
        ("network", lambda: _network(osc or [])),
    )
    with listening(lambda ready, compiled: None):  # a report needs few kernels
        for heading, lines in sections:
            print(f"{heading}:")
            try:
                for line in lines():
                    print(f"  {line}", flush=True)
            except Exception as error:  # what is wrong is what a report is for
                print(f"  {type(error).__name__}: {_short(str(error))}", flush=True)


def _versions() -> Iterator[str]:
    yield f"streamtag {__version__}, Python {platform.python_version()} ({platform.python_implementation()})"
    yield f"{platform.platform()}, {platform.machine()}"
    named = (requirement.split(";")[0] for requirement in requires("streamtag") or () if "extra ==" not in requirement)
    names = ["".join(char for char in name.split("<")[0].split(">")[0].split("=")[0] if char != " ") for name in named]
    yield ", ".join(f"{name} {_version(name)}" for name in (*names, *EXTRAS))
    yield from (f"{name}={_short(os.environ[name])}" for name in OWN_VARIABLES if name in os.environ)


def _processor() -> Iterator[str]:
    from llvmlite import binding

    from streamtag._compile import simd

    yield f"{binding.get_host_cpu_name()}, {os.cpu_count()} processors"
    yield (
        f"engine: {simd.INSTRUCTION_SET}, {simd.LANES} float32 in a register, "
        f"tiles of {simd.ROWS} rows by {simd.REGS} registers"
    )


def _sound() -> Iterator[str]:
    yield from (f"{name}={_short(os.environ[name])}" for name in SOUND_VARIABLES if name in os.environ)
    with c_libraries_silent():
        from streamtag.sources import listing, portaudio

        devices = listing.devices()
        yield portaudio.call(lambda: str(portaudio.library().get_portaudio_version()[1]))
    if not devices:
        yield "no inputs"
    for device in devices:
        default = ", default" if device.default else ""
        number = "" if device.named else f"{device.index} "
        yield f"{number}{device.name!r}, {device.channels} ch, {device.samplerate} Hz, {device.host}{default}"


def _kernels() -> Iterator[str]:
    from streamtag._compile.cache import cache_folder, kept_kernels
    from streamtag.realtime import callback

    try:
        yield _short(str(cache_folder()))
        kept = kept_kernels()
    except OSError as error:
        yield f"cannot be kept: {error.strerror or error}. Each start compiles them"
    else:
        megabytes = sum(file.stat().st_size for file in kept) / 1e6
        yield f"{len(kept)} compiled, {megabytes:.1f} MB" if kept else "none compiled yet: the first start takes longer"
    if callback.can_be_native():
        callback.native_callback()  # raises where Numba makes none
        callback.native_finished()
        yield "audio callback: native"
    else:
        yield "audio callback: Python only (NUMBA_DISABLE_JIT)"


def _models() -> Iterator[str]:
    from streamtag.errors import StreamtagError
    from streamtag.inference.networks.catalogue import (
        ONNX,
        find_spec,
        find_weights,
        load_weights,
        other_models,
        own_models,
    )
    from streamtag.inference.networks.specs import SPECS

    for name in (*SPECS, *other_models(), *own_models()):
        path = find_weights(name)
        if path is None:
            yield f"{name}: not installed"
            continue
        try:
            find_spec(name) if path.suffix == ONNX else load_weights(name)
        except StreamtagError as error:
            yield f"{name}: {_short(str(error))}"
        else:
            yield f"{name}: {_short(str(path))}"


def _network(destinations: list[str]) -> Iterator[str]:
    import socket

    from streamtag.osc.where import parse_destination

    yield f"this machine: {socket.gethostname()}"
    if not destinations:
        yield "no destination given: --osc HOST:PORT looks one up"
    for text in destinations:
        host, port = parse_destination(text)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            yield f"{text}: cannot be resolved: {error.strerror or error}"
        else:
            yield f"{text}: {', '.join(str(address[0]) for *_, address in found)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _short(text: str) -> str:
    """Without the user's name: a report is read by others."""
    home = os.path.expanduser("~")  # noqa: PTH111 - stays as it is for a user without a home
    return text.replace(home, "~") if len(home) > 1 else text
