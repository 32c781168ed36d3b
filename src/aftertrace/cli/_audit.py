"""The command that judges what a user brings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aftertrace.cli._exit import ExitCode, guarded, verdict_code
from aftertrace.cli._options import DataDir, Force, Jobs, LimitOptions, LimitsFile, Memory, bytes_of, limits_given
from aftertrace.cli._outputs import Junit, Outputs, Pdf, Sarif
from aftertrace.cli._progress import with_progress
from aftertrace.cli._words import in_options
from aftertrace.errors import InputError

if TYPE_CHECKING:
    from aftertrace._finished import Audit
    from aftertrace.results import Claim

Reference = typer.Option(
    metavar="MODEL",
    help="The original model, or a file of its posteriors (CSV, Parquet, NPZ). A model: .skops, .onnx, .pt2, .ts, "
    "package.module:name, package.module:factory@weights.safetensors, an endpoint's .toml or address, or .joblib and "
    ".pkl with --trust-pickle.",
)


@guarded
def audit(
    before: Annotated[str, Reference],
    after: Annotated[str, typer.Option(metavar="MODEL", help="The updated model, or a file of its posteriors.")],
    between: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="A version between both; may be repeated, in order.")
    ] = None,
    deleted: Annotated[
        Path | None, typer.Option(help="Records that were deleted: CSV, Parquet or NPZ, with their classes.")
    ] = None,
    unseen: Annotated[Path | None, typer.Option(help="Records that no version was trained on.")] = None,
    retained: Annotated[Path | None, typer.Option(help="Records that every version was trained on.")] = None,
    records: Annotated[
        Path | None, typer.Option(help="All records in one file with a column `role`, in place of the three.")
    ] = None,
    label_column: Annotated[str, typer.Option(help="The column of the records' classes.")] = "label",
    person_column: Annotated[
        str, typer.Option(help="The column that says whose record each is: then persons are judged.")
    ] = "person",
    role: Annotated[
        Path | None, typer.Option(help="A file of record and role, where posteriors are brought without the latter.")
    ] = None,
    outputs: Annotated[
        str, typer.Option(help="What answers are: auto, probabilities, logits, loss or log-likelihood.")
    ] = "auto",
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Names of the classes, where the models do not say.")
    ] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Open pickles, which run code of whoever made them.")
    ] = False,
    limits: LimitsFile = None,
    fail_above: LimitOptions = None,
    claim: Annotated[
        str | None,
        typer.Option(
            metavar="epsilon=E,delta=D",
            help="Test a claim of differential privacy (adding or removing a record, or a person, where persons are "
            "judged; all versions together): its ceiling is the limit of the AUC.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Of intervals; `aftertrace compare` says which to use next.")
    ] = 0.95,
    shadow: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="An experiment with data and training like yours: attacks learn from it."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="A file of record and what is known of it, for the blind control: CSV or Parquet."),
    ] = None,
    match: Annotated[
        bool,
        typer.Option("--match", help="Leave out queries until deleted and unseen ones are alike (class, features)."),
    ] = False,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Try defenses at release, and recommend the cheapest that is enough.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws what is random in the audit.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Keep result, scores and report in this folder.")] = None,
    junit: Junit = None,
    sarif: Sarif = None,
    pdf: Pdf = None,
    jobs: Jobs = 1,
    memory: Memory = None,
    force: Force = False,
    data_dir: DataDir = None,
) -> ExitCode:
    """Judge versions of a model by what they answer at deleted and unseen records.

    Either models and records (--deleted and --unseen), or what the models answered, as files of posteriors with the
    role of each record.
    """
    from aftertrace._audit import audit as judge

    options: dict[str, Any] = {
        "deleted": deleted,
        "unseen": unseen,
        "retained": retained,
        "records": records,
        "role": role,
        "features": features,
    }
    files = Outputs(junit=junit, sarif=sarif, pdf=pdf)
    files.make_way(out=out)
    found = with_progress(
        judge,
        before,
        after,
        between=between or [],
        **options,
        label_column=label_column,
        person_column=person_column,
        outputs=outputs,
        classes=None if classes is None else [name.strip() for name in classes.split(",")],
        trust_pickle=trust_pickle,
        limits=limits_given(limits, fail_above),
        claim=_claim(claim),
        confidence=confidence,
        shadow=shadow,
        match=match,
        what_if=what_if,
        seed=seed,
        out=out,
        force=force,
        jobs=jobs,
        memory=bytes_of(memory),
        data_dir=data_dir,
    )
    found = in_options(found, audit)
    typer.echo(str(found))
    files.write(found)
    _say_starter(found)
    return verdict_code(found.result.verdict)


def _say_starter(audit: "Audit") -> None:
    """Where the experiment is that widens an audit of one pair, and that one which somebody filled in was kept."""
    from aftertrace.scenarios._starter import SIMULATION

    path = None if audit.folder is None else audit.folder / SIMULATION
    if path is None or not path.is_file():
        return
    if not audit.starter:
        typer.echo(f"Kept:   {path} (filled in for an earlier audit)")
    elif path.read_bytes() == audit.starter.encode():
        typer.echo(f"Widen:  {path} (fill it in)")
    else:
        typer.echo(f"Widen:  {path} (filled in already, and kept as it is; rename it to get the start of this audit)")


def _claim(text: str | None) -> "Claim | None":
    """A claim such as `epsilon=1` or `epsilon=1,delta=1e-5`."""
    from aftertrace.results import Claim

    if text is None:
        return None
    parts = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(","))
    try:
        numbers = {name: float(value) for name, value in parts.items()}
    except ValueError:
        numbers = {}
    if not {"epsilon"} <= numbers.keys() <= {"epsilon", "delta"}:
        raise InputError(f"--claim must be epsilon=E or epsilon=E,delta=D, such as epsilon=1,delta=1e-5, got {text!r}.")
    return Claim(epsilon=numbers["epsilon"], delta=numbers.get("delta", 0.0))
