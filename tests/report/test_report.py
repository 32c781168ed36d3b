"""The report: what is shown, that it is safe to share, and that a browser shows it."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import aftertrace as at
from aftertrace.attacks import simulated_posteriors
from aftertrace.posteriors import pseudonyms
from aftertrace.report import as_text, render
from aftertrace.report._page import page
from aftertrace.report._records import shown_names
from aftertrace.results import Outcome, Verdict
from aftertrace.statistics import benjamini_hochberg

KEY = b"0" * 32  # of conftest.py


def shown_page(audit, key=KEY, **changes):
    return page(replace(audit.result, **changes), audit.scores, manifest={}, key=key)


def one_pair():
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=40)
    role = np.where(table.role == 0, "deleted", "unseen").tolist()
    return at.audit(table.values[:, 0], table.values[:, 1], label=table.label, role=role, classes=["<b>x", '"y"', "z&"])


def plain(text):
    return text.replace("\u00a0", " ")


def visible(text):
    """What a reader sees: no drawing, no style, no script."""
    text = re.sub(r"<(svg|style|script).*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", text)


def test_it_is_one_small_file_that_asks_for_nothing(shown):
    assert len(shown.encode()) < 2_000_000
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", shown)
    assert not re.search(r"url\((?!#)", shown)
    assert "@import" not in shown


def test_it_runs_one_script_and_names_it(shown):
    scripts = dict(re.findall(r"<script([^>]*)>(.*?)</script>", shown, flags=re.DOTALL))
    assert set(scripts) == {"", ' type="application/json" id="data"'}
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', shown)[1]
    digest = base64.b64encode(hashlib.sha256(scripts[""].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r"\bon\w+=|javascript:", re.sub(r"<script.*?</script>", "", shown, flags=re.DOTALL))


def test_no_record_number_leaves_the_run(audit, html_of):
    moved = replace(audit.scores, record=audit.scores.record + 7_000_000)
    assert not re.search(r"\b70\d{5}\b", html_of(audit.result, moved))


def test_pseudonyms_follow_the_key(audit):
    names = [[row[0] for row in shown_page(audit, key).exposed.first] for key in (KEY, b"1")]
    assert names[0] != names[1]
    assert len(names[0]) == 20
    score = audit.scores.score[audit.result.verdict.attack]
    top = np.argsort(-np.where((audit.scores.role == 0), score, -np.inf), kind="stable")[0]
    expected = int(pseudonyms([str(audit.scores.record[top])], KEY)[0])
    assert names[0][0] == f"r-{expected:015x}"[:12]


def test_all_deleted_records_are_there_by_exposure(audit):
    shown = shown_page(audit).exposed
    deleted = np.flatnonzero((audit.scores.role == 0) & (audit.scores.use == 0))
    score = audit.scores.score[audit.result.verdict.attack][deleted]
    assert len(shown.rows) == shown.all == len(deleted) == shown.beyond + 20
    by_name = dict(zip(shown_names(audit.scores.record[deleted], KEY), score, strict=True))
    if len(by_name) == len(deleted):
        assert [by_name[row[0]] for row in shown.rows] == sorted(score, reverse=True)


def test_equal_scores_do_not_tell_the_order_of_the_file(audit):
    flat = {name: np.zeros_like(values) for name, values in audit.scores.score.items()}
    shown = page(audit.result, replace(audit.scores, score=flat), manifest={}, key=KEY).exposed
    assert [row[0] for row in shown.rows] == sorted(row[0] for row in shown.rows)


def test_exposed_records_by_hand_and_rounded(audit):
    shown = shown_page(audit).exposed.first
    phi, score = audit.scores.phi, audit.scores.score[audit.result.verdict.attack]
    deleted, unseen = (np.flatnonzero((audit.scores.role == role) & (audit.scores.use == 0)) for role in (0, 1))
    top = deleted[score[deleted].argmax()]
    before, after = 1 / (1 + np.exp(-phi[top]))
    assert shown[0][1] == audit.result.data.classes[audit.scores.label[top]]
    assert shown[0][2:4] == (f"{before:.1f}", f"{after:.1f}")
    assert float(shown[0][4]) == pytest.approx(phi[top, 0] - phi[top, 1], rel=0.5)
    assert shown[0][5] == f"{int(100 * (score[unseen] < score[top]).mean())} %"


def test_no_figure_is_fine_enough_to_look_a_record_up(audit):
    """Else whoever can ask both versions about a person would find that person's row."""
    for _, _, *figures in shown_page(audit).exposed.first:
        assert all(len(re.findall(r"[1-9]", figure)) <= 1 for figure in figures[:3])


def test_the_page_says_who_was_made_worse(audit):
    scores, found = audit.scores, audit.result.discoveries
    told = scores.deletions(
        np.flatnonzero((scores.role == 0) & (scores.use == 0)),
        before=scores.score["SupersetClassical"],
        after=scores.score["Superset"],
    )
    adjusted = benjamini_hochberg(told.worse)
    assert (found.deleted, found.worse) == (len(told.record), (adjusted <= found.fdr).sum())
    names = shown_names(told.record, KEY)
    for row in shown_page(audit).exposed.first:
        assert float(row[6]) == pytest.approx(adjusted[names.index(row[0])], abs=0.005)


def test_movements_by_hand(audit):
    shown = shown_page(audit).evidence
    drop = audit.scores.phi[:, 0] - audit.scores.phi[:, 1]
    unseen = drop[(audit.scores.role == 1) & (audit.scores.use == 0)]
    row = {name: cells for name, *cells in shown.movement_rows}["Unseen"]
    assert row[0] == "108"
    assert row[1] == f"{100 * (unseen == 0).mean():.0f}\u00a0%"
    assert float(row[3]) == pytest.approx(np.median(unseen), rel=0.06)
    assert [each.role for each in shown.movements] == ["Deleted", "Unseen", "Retained"]


def test_curves_are_whole_numbers_of_records(audit):
    data = shown_page(audit).data["roc"]
    score, scores = audit.scores.score[data["curves"][0]["name"]], audit.scores
    deleted, unseen = (score[(scores.role == role) & (scores.use == 0)] for role in (0, 1))
    assert (data["attacked"], data["unseen"]) == (len(deleted), len(unseen))
    pairs = {((unseen >= t).sum(), (deleted >= t).sum()) for t in [*np.unique(score), np.inf]}
    for curve in data["curves"]:
        assert (curve["accused"][0], curve["accused"][-1], curve["found"][-1]) == (0, len(unseen), len(deleted))
    assert set(zip(data["curves"][0]["accused"], data["curves"][0]["found"], strict=True)) <= pairs


def test_every_attack_has_a_row_and_figures(audit, shown):
    for attack in audit.result.attacks:
        assert f">{attack.name}<" in shown or f">{attack.name} <" in shown
        assert f"{attack.auc.estimate:.2f} ({attack.auc.low:.2f} to {attack.auc.high:.2f})" in plain(shown)
    assert "refused [1]" in plain(shown)
    assert "1000 evaluated unseen queries are needed" in shown


def test_every_figure_has_n_method_and_interval(audit):
    appendix = shown_page(audit).appendix
    rows = {row[0]: row for row in appendix.figures}
    assert len(rows) == len(appendix.figures)
    auc = audit.result.attack("LogitDrop").auc
    _, estimate, interval, n, method = rows["AUC, LogitDrop"]
    assert (estimate, n) == (f"{auc.estimate:.4f}", "6")
    assert plain(interval) == f"{auc.low:.4f} to {auc.high:.4f} (95 %)"
    assert appendix.methods[int(method) - 1].startswith(auc.method)
    assert {int(row[4]) for row in appendix.figures} == set(range(1, len(appendix.methods) + 1))


def test_the_manifest_names_models_and_data(audit, shown):
    assert audit.result.data.fingerprint in shown
    assert "version 1, after.onnx</dt><dd>def456" in shown


def test_nothing_is_empty_or_a_python_word(shown):
    assert not re.search(r"\b(None|nan|NaN|True|False|inf)\b", visible(shown))
    assert not re.search(r"<t[dh][^>]*>\s*</t[dh]>", shown)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_badge(audit, outcome):
    verdict = Verdict(outcome=outcome, sentence="So it is.", attack="LogitDrop", limit=0.7)
    changed = replace(audit.result, verdict=verdict)
    assert "So it is." in render(changed, audit.scores, manifest={}, key=KEY)
    assert "So it is." in as_text(changed)


def test_names_from_outside_are_text(audit, html_of):
    evil = "</script><script>alert('1')</script><!--"
    data = replace(audit.result.data, name=evil, classes=(evil, '"', "&\u2028"), notes=(evil,))
    changed = replace(audit.result, title=evil, data=data, settings={evil: {"a": evil}}, notes=(evil,))
    text = html_of(changed, audit.scores)
    assert text.count("<script") == 2
    assert "<!--" not in text
    assert "&lt;script&gt;" in text
    held = json.loads(re.search(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert held["records"]["classes"] == [evil, '"', "&\u2028"]


def test_one_pair_says_what_it_is():
    audit = one_pair()
    page_text = render(audit.result, audit.scores, manifest=audit.manifest, key=KEY)
    assert "one pair of models" in page_text
    assert "&lt;b&gt;x" in page_text


def test_columns_that_nothing_fills_are_not_shown(audit, shown):
    """Without a shadow side no threshold is chosen, and no attack has a balanced accuracy."""
    pair = one_pair()
    heads = page(pair.result, pair.scores, manifest={}, key=KEY).evidence.heads
    assert [plain(head) for head in heads] == ["Classical", "p (Holm)", "TPR at 10 % FPR", "TPR at 1 % FPR"]
    text = render(pair.result, pair.scores, manifest=pair.manifest, key=KEY)
    assert "Balanced accuracy: share" not in visible(text)
    assert "Balanced accuracy: share" in visible(shown)
    untested = replace(pair.result, attacks=tuple(replace(each, against=None) for each in pair.result.attacks))
    for result, there in ((untested, False), (audit.result, True)):
        assert ("p (Holm)" in as_text(result, colour=False).split("For whom")[0]) == there


def test_shares_are_percent_and_aucs_are_not(audit, shown):
    text = plain(visible(shown))
    assert re.search(r"lost -?\d+\.\d % \(", text)
    for row in shown_page(audit).evidence.attacks:
        assert re.fullmatch(r"0\.\d\d \(0\.\d\d to \d\.\d\d\)", plain(row.auc))
        assert all("%" in cell or cell.startswith(("refused", "–")) for cell in row.cells[2:])


def test_drawings_do_not_share_names(shown):
    names = re.findall(r'\bid="([^"]+)"', shown)
    assert len(names) == len(set(names))


def test_equal_results_give_equal_pages(audit, html_of, shown):
    assert html_of(audit.result, audit.scores) == shown


def test_terminal_text_fits_and_says_it(audit):
    text = as_text(audit.result, width=80, colour=False)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "LogitDrop" in text
    assert "Controls: unseen/unseen" in text
    assert "\x1b[" in as_text(audit.result, colour=True)


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    return at.exposure("wine", model="tree", unseen=19, out=tmp_path_factory.mktemp("exposure") / "run")


def test_the_page_of_an_exposure(exposed, tmp_path):
    text = exposed.to_html(tmp_path / "report.html").read_text()
    assert len(text.encode()) < 2_000_000
    assert "<script" not in text
    assert "Certificate" in text
    assert not re.search(r"\b(None|nan|NaN|True|False|inf)\b", visible(text))
    names = re.findall(r"<th scope=\"row\">(r-\w+)</th>", text)
    assert len(names) == len(set(names)) == 20
    order = np.lexsort((-exposed.rows.logit_drop, exposed.rows.rank))
    expected = int(pseudonyms([str(exposed.rows.record[order[0]])], exposed.key)[0])
    assert names[0] == f"r-{expected:015x}"[:12]
    by_class = [(exposed.rows.label == k).sum() for k in range(3)]
    for name, number in zip(exposed.classes, by_class, strict=True):
        assert re.search(rf">{name}</th>\s*<td[^>]*>{number}<", text)


def test_scores_of_a_language_model_are_called_scores():
    rng = np.random.default_rng(0)
    before = rng.normal(3, 1, 240)
    after = before + np.r_[rng.normal(0.8, 0.5, 120), rng.normal(0, 0.5, 120)]
    role = ["deleted"] * 120 + ["unseen"] * 120
    audit = at.audit(before[:, None], after[:, None], role=role, outputs="loss")
    text = render(audit.result, audit.scores, manifest=audit.manifest, key=KEY)
    assert "Score drop" in text
    assert "onfidence in the true class" not in visible(text).split("Words")[0]
    heads = shown_page(audit).exposed.heads
    assert heads == ("Record", "Before", "After", "Score drop", "Above unseen", "Worse (p)")


def test_persons_are_called_persons():
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=40)
    role = np.where(table.role == 0, "deleted", "unseen").tolist()
    person = [f"p{k // 2}-{word}" for k, word in enumerate(role)]
    audit = at.audit(table.values[:, 0], table.values[:, 1], label=table.label, role=role, person=person)
    text = visible(render(audit.result, audit.scores, manifest=audit.manifest, key=KEY))
    assert "The most exposed persons" in text
    assert not re.search(r"\bp\d+-(deleted|unseen)\b", text)


def test_names_move_no_terminal():
    """A class may be called what clears a screen; colours of our own stay."""
    pair = one_pair()
    evil = "\x1b]0;title\x07\x1b[2J\x9b2Jx"
    result = replace(pair.result, slices=tuple(replace(each, group=evil) for each in pair.result.slices))
    text = as_text(result, colour=True)
    assert "]0;title" in text
    assert not set(re.sub(r"\x1b\[[0-9;]*m", "", text)) & {"\x1b", "\x07", "\x9b"}
    assert "\x1b[" in text
