"""streamtag learn: your own tags from labelled files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtag.commands.console import EXIT_FAILED, err, out
from streamtag.commands.extraction import (
    Hop,
    Jobs,
    Model,
    NoCache,
    Window,
    compile_first,
    extraction_of,
    feature_cache,
)
from streamtag.commands.options import named
from streamtag.commands.signals import install_signal_handlers
from streamtag.dsp.params import LevelOption
from streamtag.errors import OptionError, StreamtagError

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag learn clips/ --out my.head[/bold] (clips/drop/*.wav, clips/none/*.wav ...) · "
    "[bold]streamtag learn clips.csv --out my.head --features penultimate --report my.html[/bold] · "
    "then: [bold]streamtag live --head my.head --osc 127.0.0.1:9000[/bold]"
)
def learn(
    data: Annotated[
        Path,
        typer.Argument(
            help="A folder with a folder of files for each class (one called none for background, if you like); or "
            "a table (.csv, .tsv) of path, label (several: a|b, or further cells) and, if wanted, a group such as the "
            "artist.",
            metavar="DATA",
            parser=named,
        ),
    ],
    to: Annotated[Path, typer.Option("--out", help="Where to write the head.", metavar="FILE.head")],
    name: Annotated[
        str | None, typer.Option(help="Its name, also in OSC addresses. Default: that of the file.", metavar="NAME")
    ] = None,
    model: Model = "MSD_musicnn",
    features: Annotated[
        str,
        typer.Option(
            help="taggram, penultimate, mean_pool, max_pool (vgg: taggram, pool5), several joined by +; "
            "auto: penultimate (vgg: pool5), unless another is clearly better live, by cross-validation.",
            metavar="NAMES",
        ),
    ] = "auto",
    statistic: Annotated[
        Literal["mean", "patches"],
        typer.Option(help="Learn from the mean over each file, or from its patches, which then vote."),
    ] = "mean",
    classifier: Annotated[
        Literal["svm", "linear-svm", "logistic", "knn", "mlp"],
        typer.Option(help="svm: rbf kernel, as published with musicnn."),
    ] = "svm",
    pca: Annotated[int, typer.Option(help="Units kept by PCA, if there are files enough; 0: no PCA.", min=0)] = 128,
    c: Annotated[float, typer.Option("--C", help="Inverse regularisation of svm, linear-svm, logistic.")] = 1.0,
    folds: Annotated[int, typer.Option(help="Parts of the files left out in turn.", min=2)] = 5,
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0, max=2**32 - 1)] = 0,
    window: Window = None,
    hop: Hop = 1.0,
    level: Annotated[
        LevelOption,
        typer.Option(
            help="auto: bring files to the level that the models know, so that the head is right on quiet and loud "
            "input. off: as they are. The head remembers, and plays as it was learned."
        ),
    ] = "auto",
    report: Annotated[Path | None, typer.Option(help="Write the figures as a page, too.", metavar="FILE.html")] = None,
    jobs: Jobs = 0,
    no_cache: NoCache = False,
) -> None:
    """Learn your own tags from labelled files, to be played live.

    What cannot be read, or has nothing to hear in it, is left out and named. Copies of one sound are never learned from
    and tested on at once.
    """
    from streamtag.files.outputs import check_outputs
    from streamtag.heads.file import write_head
    from streamtag.labelled.data import read_labelled
    from streamtag.learn.training import Options, chosen_features, default_name

    if not 0 < c < math.inf:
        raise OptionError(f"--C {c:g}: expected a number above 0")
    extraction = extraction_of(model, window, hop, level)
    chosen_features(features, extraction.spec, classifier)
    labelled = read_labelled(data)
    check_outputs([("--out", to), ("--report", report)], [data, *(clip.path for clip in labelled.clips)])
    options = Options(
        name=name or default_name(to),
        features=features,
        statistic=statistic,
        classifier=classifier,
        pca=pca or None,
        C=c,
        folds=folds,
        seed=seed,
    )
    from streamtag.learn.report import print_report, write_page
    from streamtag.learn.training import learn as learn_head

    install_signal_handlers()
    compile_first(extraction)
    lesson = learn_head(labelled, extraction, feature_cache(no_cache), options, jobs=jobs, console=err)
    # First all that is to last, each whatever becomes of the other; then what is to be read.
    writing: list[tuple[Path, Callable[[Path], object]]] = [(to, lambda path: write_head(path, lesson.head))]
    if report is not None:
        writing.append((report, lambda path: write_page(path, lesson)))
    written: list[Path] = []
    failures: list[StreamtagError] = []
    for target, write in writing:
        try:
            write(target)
            written.append(target)
        except StreamtagError as error:
            failures.append(error)
    print_report(lesson, out)
    for target in written:
        out.print(f"written: {target}", markup=False)
    for failure in failures:
        err.print(f"streamtag: {failure}", style="red", markup=False)
    raise typer.Exit(EXIT_FAILED if failures else 0)
