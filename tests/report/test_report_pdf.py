"""The report on paper: the same content, few pages, nothing fetched, and a clear word where it cannot be made."""

import builtins
import logging
import re
import sys
import zlib
from dataclasses import replace

import pytest

from aftertrace.cli._outputs import Outputs
from aftertrace.errors import InputError
from aftertrace.report import to_pdf

weasyprint = pytest.importorskip("weasyprint")


@pytest.fixture(scope="module")
def paper(shown):
    """The pages, as laid out."""
    return weasyprint.HTML(string=shown).render().pages


def test_it_is_a_tagged_pdf_and_leaves_no_word_in_the_log(shown, caplog, tmp_path):
    with caplog.at_level(logging.WARNING):
        content = to_pdf(shown)
    assert content.startswith(b"%PDF-")
    streams = re.findall(rb"stream\n(x\xda.*?)\nendstream", content, flags=re.DOTALL)
    assert any(b"/StructTreeRoot" in zlib.decompress(each) for each in streams)
    assert caplog.records == []
    (tmp_path / "report.pdf").write_bytes(content)
    Outputs(junit=None, sarif=None, pdf=tmp_path / "report.pdf").make_way(out=None)  # one of its own may be replaced


def test_it_says_what_the_page_says_on_few_pages_and_shows_no_control(audit, paper):
    assert 4 <= len(paper) <= 12
    words = " ".join(word for each in paper for word in words_of(each))
    assert " ".join(audit.result.verdict.sentence.split()) in words
    assert "What was not tested" in words
    assert f"1 of {len(paper)}" in words
    assert "Name or class contains" not in words
    assert "Skip to" not in words


def words_of(page):
    for box in page._page_box.descendants():
        yield from getattr(box, "text", "").split()


def test_the_first_page_is_the_officers(paper):
    first = " ".join(words_of(paper[0]))
    assert "What was not tested" in first
    assert "For the engineer" not in first
    assert "For the engineer" in " ".join(words_of(paper[1]))


def test_long_tables_are_cut_and_say_so(audit, html_of):
    many = tuple(replace(audit.result.slices[0], group=f"group {k}") for k in range(130))
    text = html_of(replace(audit.result, slices=many), audit.scores)
    assert len(weasyprint.HTML(string=text).render().pages) <= 12
    assert text.count("and 100 more in the HTML report") == 1


def test_nothing_is_fetched(tmp_path):
    outside = tmp_path / "outside.css"
    outside.write_text("p { color: red }")
    with_and_without = [
        to_pdf(f"<html><head>{link}</head><body><p>x</p></body></html>")
        for link in (f'<link rel="stylesheet" href="{outside.as_uri()}">', "")
    ]
    assert b"1 0 0 rg" not in with_and_without[0]
    assert len(with_and_without[0]) == len(with_and_without[1])


@pytest.mark.parametrize(
    ("error", "word"), [(ImportError("no"), r"pip install 'aftertrace\[pdf\]'"), (OSError("no"), "Pango")]
)
def test_what_is_missing_is_named(monkeypatch, error, word):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "weasyprint":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "weasyprint")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=word):
        to_pdf("<p>x</p>")
