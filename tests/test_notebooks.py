"""The notebooks of the documentation run from beginning to end."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["choose_a_remedy", "own_models"]


@pytest.mark.filterwarnings("default")  # of Jupyter's own machinery; the notebook's process has filters of its own
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the answers: they differ by machine"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "report.html").is_file()
    answers = [answer for cell in notebook.cells for answer in cell.get("outputs", [])]
    assert not [answer for answer in answers if answer.get("name") == "stderr"]
