"""What mkdocs cannot do by itself: notebooks are pages too, and the examples of the repository are part of the site."""

import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
_OUTSIDE = re.compile(r"\]\(\.\./((?:\.\./)*(?:examples/|action\.yml))")

_BACK = re.compile(r"\]\(((?:\.\./)+)docs/")


def on_files(files: Files, config: Any) -> Files:
    """Adds a page beside each notebook, and the files beside the documentation that pages link to."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            page = file.src_uri.removesuffix("ipynb") + "md"
            files.append(File.generated(config, page, content=as_markdown(Path(str(file.abs_src_path)))))
    for path in (ROOT / "action.yml", *sorted((ROOT / "examples").rglob("*.*"))):
        if "__pycache__" not in path.parts:
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """In the repository the examples lie beside docs/, in the site within it."""
    return _BACK.sub(r"](\1", _OUTSIDE.sub(r"](\1", markdown))


def as_markdown(path: Path) -> str:
    """A notebook's text, and its code as it stands; the answers come by running it."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```" for cell in cells
    )
