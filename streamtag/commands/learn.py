"""streamtag learn: your own tags from labelled files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtag.commands.console import err, out
from streamtag.commands.extraction import (
    Hop,
    Jobs,
    Model,
    NoCache,
    Window,
    check_writable,
    extraction_of,
    feature_cache,
)
from streamtag.errors import OptionError

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
            "a .csv or .tsv of path, label (several: a|b), and a group such as the artist, if wanted.",
            metavar="DATA",
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
            "auto: the best by cross-validation.",
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
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0)] = 0,
    window: Window = 3.0,
    hop: Hop = 1.0,
    report: Annotated[Path | None, typer.Option(help="Write the figures as a page, too.", metavar="FILE.html")] = None,
    jobs: Jobs = 0,
    no_cache: NoCache = False,
) -> None:
    """Learn your own tags from labelled files, to be played live."""
    from streamtag.heads.file import write_head
    from streamtag.learn.data import read_labelled
    from streamtag.learn.training import Options, chosen_features, default_name

    for target in (to, report):
        check_writable(target)
    if c <= 0:
        raise OptionError(f"--C {c:g}: expected more than 0")
    extraction = extraction_of(model, window, hop)
    chosen_features(features, extraction.spec)
    labelled = read_labelled(data)
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

    lesson = learn_head(labelled, extraction, feature_cache(no_cache), options, jobs=jobs, console=err)
    write_head(to, lesson.head)
    print_report(lesson, out)
    out.print(f"written: {to}", markup=False)
    if report is not None:
        write_page(report, lesson)
        out.print(f"written: {report}", markup=False)
