"""The commands around your own tags: learn, features, evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from streamtag.errors import OptionError, StreamtagError
from streamtag.networks.specs import SPECS, find_spec, frames_in

Model = Annotated[str, typer.Option(help=f"One of {', '.join(SPECS)}.", metavar="NAME")]
Jobs = Annotated[int, typer.Option(help="Files to work on at a time; 0: one for each processor.", min=0)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep the features of earlier runs.")]
Window = Annotated[float, typer.Option(help="Seconds of a patch (vgg models: 3 only).", metavar="SECONDS")]
Hop = Annotated[float, typer.Option(help="Seconds from one patch to the next.", metavar="SECONDS")]


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the commands to the program.

    Parameters
    ----------
    app : the program.
    out, err : consoles of stdout and stderr.
    """

    def command(epilog: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return app.command(epilog=epilog)

    @command(
        "Examples: [bold]streamtag learn clips/ --out my.head[/bold] (clips/drop/*.wav, clips/breakdown/*.wav ...) · "
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
        report: Annotated[
            Path | None, typer.Option(help="Write the figures as a page, too.", metavar="FILE.html")
        ] = None,
        jobs: Jobs = 0,
        no_cache: NoCache = False,
    ) -> None:
        """Learn your own tags from labelled files, to be played live."""
        from streamtag.learn.data import read_labelled
        from streamtag.learn.headfile import write_head
        from streamtag.learn.training import Options, chosen_features, default_name

        for target in (to, report):
            _writable(target)
        if c <= 0:
            raise OptionError(f"--C {c:g}: more than 0 is wanted")
        extraction = _extraction(model, window, hop)
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

        lesson = learn_head(labelled, extraction, _cache(no_cache), options, jobs=jobs, console=err)
        write_head(to, lesson.head)
        print_report(lesson, out)
        out.print(f"written: {to}", markup=False)
        if report is not None:
            write_page(report, lesson)
            out.print(f"written: {report}", markup=False)

    @command(
        "Examples: [bold]streamtag features clips/ --out features.npz[/bold] · "
        "[bold]streamtag features 'set/*.flac' --model MTT_musicnn --hop 3 --out features.parquet[/bold]"
    )
    def features(
        paths: Annotated[list[str], typer.Argument(help="Files, folders, or quoted patterns.", metavar="PATH...")],
        to: Annotated[
            Path,
            typer.Option("--out", help="Where to write: .npz, or .parquet (streamtag\\[parquet]).", metavar="FILE"),
        ],
        model: Model = "MSD_musicnn",
        window: Window = 3.0,
        hop: Hop = 1.0,
        jobs: Jobs = 0,
        no_cache: NoCache = False,
    ) -> None:
        """All features of many files, for those who train elsewhere. Unreadable files are named and skipped."""
        from streamtag.learn.export import check_format, write_features
        from streamtag.learn.features import FileFeatures, extract
        from streamtag.sources.find import find_audio

        _writable(to)
        check_format(to)
        extraction = _extraction(model, window, hop)
        results = extract(find_audio(paths), extraction, _cache(no_cache), jobs=jobs, console=err)
        heard = [result for result in results if isinstance(result, FileFeatures)]
        failed = [result for result in results if isinstance(result, StreamtagError)]
        for error in failed:
            err.print(f"streamtag: {error}", style="red", markup=False)
        write_features(to, heard, extraction)
        patches = sum(len(file.features["taggram"]) for file in heard)
        out.print(f"written: {to} ({len(heard)} files, {patches} patches)", markup=False)
        raise typer.Exit(1 if failed else 0)

    @command(
        "Examples: [bold]streamtag evaluate taggrams.npz truth.csv[/bold] (from `streamtag file --taggram`) · "
        "[bold]streamtag evaluate predictions.tsv test_gt_mtt.tsv --index index_mtt.tsv --model MTT_musicnn "
        "--per-tag[/bold]"
    )
    def evaluate(
        predictions: Annotated[
            Path,
            typer.Argument(
                help=".npz of `streamtag file --taggram`, .csv (path, then a column of scores a tag), or lines of id "
                "TAB list of scores.",
                metavar="PREDICTIONS",
            ),
        ],
        groundtruth: Annotated[
            Path,
            typer.Argument(
                help="Lines of id TAB list of 0 and 1 (musicnn-training's), or .csv: path, then a column of 0 and 1 a "
                "tag, or path and label.",
                metavar="GROUNDTRUTH",
            ),
        ],
        index: Annotated[
            Path | None,
            typer.Option(help="Lines of id TAB path (musicnn-training's), where ids are no paths.", metavar="FILE"),
        ] = None,
        model: Annotated[
            str | None,
            typer.Option(
                help="Whose tags the columns are, where neither file names them (musicnn-training's order).",
                metavar="NAME",
            ),
        ] = None,
        per_tag: Annotated[bool, typer.Option("--per-tag", help="Also print each tag's areas.")] = False,
    ) -> None:
        """ROC-AUC and PR-AUC of predictions, beside the published figures."""
        from streamtag.learn.evaluate import compare, print_scores

        print_scores(
            compare(predictions, groundtruth, index, find_spec(model).labels if model else None), out, per_tag=per_tag
        )


def _writable(target: Path | None) -> None:
    if target is not None and not target.absolute().parent.is_dir():
        raise OptionError(f"cannot write {target}: the folder {target.absolute().parent} does not exist")
    if target is not None and target.is_dir():
        raise OptionError(f"cannot write {target}: it is a folder")


def _extraction(model: str, window: float, hop: float) -> Any:
    from streamtag.learn.features import Extraction
    from streamtag.networks.specs import check_window
    from streamtag.tagger import hop_frames

    spec = find_spec(model)
    frames = frames_in(window)
    check_window(spec, frames)
    return Extraction(model, frames, hop_frames(hop))


def _cache(off: bool) -> Any:
    from streamtag.learn.features import FeatureCache

    return FeatureCache(None) if off else FeatureCache.default()
