"""The commands about canaries."""

from pathlib import Path
from typing import Annotated

import typer

from aftertrace.cli._exit import ExitCode, guarded
from aftertrace.errors import InputError

canaries_app = typer.Typer(
    no_args_is_help=True,
    help="Records inserted by a coin and deleted later: a lower bound on epsilon from a single training.",
)


@canaries_app.command()
@guarded
def make(
    data: Annotated[str, typer.Argument(help="A CSV file, or a data set by name. Not of the training set.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    target: Annotated[str | None, typer.Option(help="The column of a CSV file that holds the classes.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many canaries; about half are inserted.")] = 1000,
    kind: Annotated[str, typer.Option(help="mislabelled: each gets another class; as-is: its own.")] = "mislabelled",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="For tests only: whoever knows it knows the coins; by default a secret one."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where data files are [AFTERTRACE_DATA].")] = None,
) -> ExitCode:
    """Draw canaries and toss a coin for each: insert.csv, query.csv and the private canaries.json."""
    import secrets

    import numpy as np

    from aftertrace.report import canaries_text
    from aftertrace.scenarios import make_canaries

    rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    made = make_canaries(data, out=out, rng=rng, target=target, count=count, kind=kind, data_dir=data_dir)
    typer.echo(canaries_text(made))
    typer.echo(f"Folder: {out}")
    return ExitCode.OK


@canaries_app.command()
@guarded
def check(
    folder: Annotated[Path, typer.Argument(help="What `aftertrace canaries make` wrote.")],
    before: Annotated[Path, typer.Option(help="Posteriors of the first version at query.csv: CSV, Parquet or NPZ.")],
    after: Annotated[Path, typer.Option(help="Posteriors of the version without the canaries, at the same.")],
    delta: Annotated[float, typer.Option(help="The delta of the guarantee, such as 1e-5.")] = 0.0,
    confidence: Annotated[float, typer.Option(help="Of the bound.")] = 0.95,
    fail_above: Annotated[
        str | None,
        typer.Option("--fail-above", metavar="epsilon=X", help="Exit with 1 if epsilon is shown to exceed X."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result to this JSON file.")] = None,
) -> ExitCode:
    """Guess from two versions which canaries had been inserted, and bound epsilon from below."""
    from aftertrace.report import canary_result_text
    from aftertrace.scenarios import check_canaries
    from aftertrace.store import write_atomically

    limit = _limit(fail_above)
    found = check_canaries(folder, before=before, after=after, delta=delta, confidence=confidence)
    if limit is not None and found.largest <= limit:
        raise InputError(
            f"--fail-above epsilon={limit:g} could never fail: {found.canaries} canaries show an epsilon of at most "
            f"{found.largest:.2f}. Make more canaries, or lower the limit."
        )
    typer.echo(canary_result_text(found))
    if out is not None:
        write_atomically(out, found.to_json().encode())
        typer.echo(f"Result: {out}")
    return ExitCode.OK if limit is None or found.epsilon <= limit else ExitCode.LIMIT_EXCEEDED


def _limit(text: str | None) -> float | None:
    if text is None:
        return None
    name, _, number = text.partition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = -1.0
    if name.strip() != "epsilon" or not 0 <= limit < float("inf"):
        raise InputError(f"--fail-above must be epsilon=X with X at least 0, such as epsilon=1, got {text!r}.")
    return limit
