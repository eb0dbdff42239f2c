"""Machine code on disk: kept, shared and found again, and never what keeps a program from starting."""

from __future__ import annotations

import os
import pickle
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

from streamtag._compile import jit
from streamtag._compile.cache import SUFFIX, KernelStore, cache_folder, is_cached, kept_kernels
from streamtag.realtime.callback import BLOCKS, HEAD, published
from tests.support.program import Outcome

PACKAGE = Path(jit.__file__).parents[1]
pytestmark = pytest.mark.skipif(
    bool(vars(numba.config)["DISABLE_JIT"]), reason="nothing is compiled (NUMBA_DISABLE_JIT)"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for this process; gives the folder with the kernels."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return cache_folder()


def start(monkeypatch: pytest.MonkeyPatch) -> str:
    """Get one real kernel as a fresh process does, out of the cache or compiled, and use it; how it came."""
    monkeypatch.setattr(jit, "_store", KernelStore())
    came = []
    monkeypatch.setattr("streamtag._compile.progress.begun", lambda: came.append("compiled"))
    kernel = jit.kernel("int64(int64[::1])", nogil=False)(published.py_func)  # type: ignore[attr-defined]
    words = np.zeros(HEAD, np.int64)
    words[BLOCKS] = 1234
    assert kernel(words) == 1234
    return came[0] if came else "kept"


def test_a_kernel_is_compiled_once_and_then_found(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_cached()
    assert start(monkeypatch) == "compiled"
    assert is_cached()
    assert start(monkeypatch) == "kept"
    assert [path.suffix for path in cache.iterdir()] == [SUFFIX]  # and no temporary file
    assert not caplog.records


def damages(seed: int) -> Callable[[Path], None]:
    """A way for a file to be damaged, of any kind."""
    chance = random.Random(seed)

    def flipped(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 1, 1, 50])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: chance.choice([0, 1, 31, 32, 33, chance.randrange(path.stat().st_size)])])

    def longer(path: Path) -> None:
        path.write_bytes(path.read_bytes() + chance.randbytes(chance.choice([1, 5000])))

    def zeros_in_it(path: Path) -> None:
        content = bytearray(path.read_bytes())
        begin = chance.randrange(len(content) // 512) * 512
        content[begin : begin + 4096] = bytes(len(content[begin : begin + 4096]))  # blocks that never reached the disk
        path.write_bytes(content)

    def noise(path: Path) -> None:
        path.write_bytes(chance.randbytes(chance.choice([10, 10_000])))

    def pickled(path: Path) -> None:
        path.write_bytes(pickle.dumps(("0.68.1", {})))

    def huge(path: Path) -> None:
        os.truncate(path, 1 << 40)

    return chance.choice([flipped, flipped, flipped, flipped, cut, cut, longer, zeros_in_it, noise, pickled, huge])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_what_is_damaged_is_noticed_told_once_and_made_anew(
    seed: int, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start(monkeypatch)
    (path,) = kept_kernels()
    whole = path.read_bytes()
    damages(seed)(path)
    if path.stat().st_size < 1 << 30 and path.read_bytes() == whole:
        pytest.skip("zeros over zeros")
    assert start(monkeypatch) == "compiled"
    (record,) = caplog.records
    assert str(cache) in record.getMessage()
    assert "damaged" in record.getMessage() or "no kernel" in record.getMessage()
    assert start(monkeypatch) == "kept"
    assert len(caplog.records) == 1


def in_its_place(path: Path, what: str) -> None:
    """Put something that is no file where a kernel was."""
    path.unlink()
    match what:
        case "folder":
            path.mkdir()
        case "link to nowhere":
            path.symlink_to("nowhere")
        case "link to itself":
            path.symlink_to(path)
        case "pipe":
            os.mkfifo(path)
        case "endless device":
            path.symlink_to("/dev/zero")


@pytest.mark.parametrize("what", ["folder", "link to nowhere", "link to itself", "pipe", "endless device"])
def test_what_is_no_file_is_not_waited_for(what: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch)
    (path,) = kept_kernels()
    in_its_place(path, what)
    assert start(monkeypatch) == "compiled"
    assert start(monkeypatch) == ("compiled" if what == "folder" else "kept")  # it is replaced, unless it is a folder


def test_a_file_of_another_kernel_is_not_mistaken_for_this_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start(monkeypatch)
    (path,) = kept_kernels()
    store = KernelStore()
    store.save("other", b"another kernel")
    (cache / f"other{SUFFIX}").replace(path)
    assert start(monkeypatch) == "compiled"
    assert "damaged" in caplog.text


def test_what_is_whole_and_yet_does_not_fit_is_compiled_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start(monkeypatch)
    (path,) = kept_kernels()
    KernelStore().save(path.stem, pickle.dumps(("of", "another", "Numba")))
    assert start(monkeypatch) == "compiled"
    assert str(cache) in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_another_users_code_is_not_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start(monkeypatch)
    (path,) = kept_kernels()
    os.chown(path, 12345, 12345)
    assert start(monkeypatch) == "compiled"
    assert "another user's" in caplog.text
    assert path.stat().st_uid == 0  # replaced by one that may be used
    assert start(monkeypatch) == "kept"


REPORT = """
from streamtag._compile import progress
told = []
with progress.listening(lambda ready, compiled: told.append(compiled)):
    import streamtag.realtime.callback
print(any(told))
"""  # whether anything had to be compiled


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME"])
def test_code_for_another_processor_is_not_taken(variable: str, cache: Path) -> None:
    own: dict[str, str] = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    first, again, other = (
        in_a_process(REPORT, env).stdout.strip()
        for env in ({}, {}, own if variable == "NUMBA_CPU_NAME" else {variable: ""})
    )
    assert (first, again, other) == ("True", "False", "True")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["NUMBA_OPT", "NUMBA_DEBUGINFO"])
def test_what_was_compiled_with_other_settings_is_not_taken(setting: str, cache: Path) -> None:
    used = [in_a_process(REPORT, env).stdout.strip() for env in ({setting: "1"}, {}, {setting: "1"}, {})]
    assert used == ["True", "True", "False", "False"]


# --- whole processes, and folders that cannot be written to -----------------------------------------------------------

IMPORT = "import streamtag.realtime.callback as c, numpy as n; w = n.ones(c.HEAD, n.int64); print(c.published(w))"


def in_a_process(code: str, env: dict[str, str], **options: object) -> Outcome:
    """Run code in a fresh Python."""
    program = [sys.executable, "-c", code]
    done = subprocess.run(  # type: ignore[call-overload]
        program, capture_output=True, text=True, timeout=120, env={**os.environ, **env}, **options
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def file_sizes_limited() -> None:
    """Writing ends with an error after a few kilobytes, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


NOBODY = """
import os, pwd
def unlisted(uid):
    raise KeyError(uid)
pwd.getpwuid = unlisted
for name in ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
"""  # a container whose user is in no list


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["a file", "below a file", "full", "no home"])
def test_where_nothing_can_be_kept_it_starts_and_says_so_once(trouble: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code, chosen, named, limit = IMPORT, str(tmp_path / "cache"), str(tmp_path), None
    match trouble:
        case "a file":
            chosen = str(file)
        case "below a file":
            chosen = str(file / "cache")
        case "full":
            limit = file_sizes_limited
        case "no home":
            code, named = NOBODY + IMPORT, "no home"
    where = {"NUMBA_CACHE_DIR": chosen, "PYTHONPATH": str(PACKAGE.parent)}
    outcome = in_a_process(code, where, cwd=tmp_path, preexec_fn=limit)
    assert (outcome.status, outcome.stdout) == (0, "1\n"), outcome.stderr
    compiling, note = outcome.message.splitlines()
    assert compiling.startswith("streamtag: compiling kernels")
    assert named in note
    assert "each start compiles them anew" in note
    assert not list(PACKAGE.rglob("*.nb[ci]"))  # Numba's own way out


@pytest.mark.slow
def test_many_may_start_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: in_a_process(IMPORT, {"NUMBA_CACHE_DIR": str(tmp_path)}), range(4)))
    assert [(outcome.status, outcome.stdout) for outcome in outcomes] == [(0, "1\n")] * 4
    assert in_a_process(IMPORT, {"NUMBA_CACHE_DIR": str(tmp_path)}).stderr == ""  # all is there, and whole
