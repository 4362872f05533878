"""Tables of studies as HTML: figures under where they come from, and verdicts."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from flyweight.records import Ratio
from flyweight.report.studies.places import Group, Shown, View, joined, short_claim, shortened
from flyweight.studies import Column, Table, Verdict, verdicts_of
from flyweight.studies.tables import Value

FEW = 4
"""So many places share the width of the page in equal parts."""
SIGNS = {"holds": "✓", "does not hold": "✗", "not decided": "?"}
CLASSES = {"holds": "holds", "does not hold": "fails", "not decided": "open"}
KINDS = {
    "published": "paper",
    "computed": "computed",
    "measured": "measured",
    "label": "label",
    "note": "remark",
}
"""The style's names of where figures come from."""


def anchor(*parts: str) -> str:
    """A name for a place on the page, of letters, digits and single dashes."""
    return re.sub("[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def kinds_legend() -> str:
    """Where figures come from, in a line."""
    said = {
        "paper": "printed in the paper",
        "computed": "follows from the network's structure",
        "measured": "timed here, with its 95% interval",
    }
    items = "".join(f'<li class="kind {kind}">{text}</li>' for kind, text in said.items())
    return f'<ul class="kinds" aria-label="Where figures come from">{items}</ul>'


def figures(name: str, tables: Sequence[tuple[str, Table]], key: str, level: int = 4) -> str:
    """A table under its name, in a box that it can be moved in.

    Args:
        name: above it.
        tables: the same rows measured in one place or several, with the places' labels.
        key: its place on the page.
        level: of the name among the page's headings.
    """
    groups = joined(tables)
    count = len(tables[0][1].rows)
    rows = "\n".join(f"<tr>{_cells(groups, index)}</tr>" for index in range(count))
    return f"""<h{level} id="{key}">{escape(name)}</h{level}>
<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">
<table class="figures">
<thead>
<tr>{"".join(_kind(group) for group in groups)}</tr>
<tr>{"".join(_headings(group) for group in groups)}</tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _kind(group: Group) -> str:
    across = f' colspan="{len(group.columns)}"' if len(group.columns) > 1 else ""
    kind = KINDS[group.kind]
    if not group.title:
        return f'<td class="{kind}"{across}></td>'
    return f'<th scope="colgroup" class="kind {kind}"{across}>{escape(group.title)}</th>'


def _headings(group: Group) -> str:
    cells = []
    for index, column in enumerate(group.columns):
        unit = f" <small>{escape(column.unit)}</small>" if column.unit else ""
        classes = _classes(group, index)
        cells.append(f'<th scope="col"{classes}>{escape(column.name)}{unit}</th>')
    return "".join(cells)


def _cells(groups: Sequence[Group], row: int) -> str:
    cells = []
    for group in groups:
        for index, text in enumerate(group.texts[row]):
            first = group.kind == "label" and index == 0
            tag, scope = ("th", ' scope="row"') if first else ("td", "")
            shown = _interval(group.columns[index], group.rows[row][index]) or escape(text)
            cells.append(f"<{tag}{scope}{_classes(group, index)}>{shown}</{tag}>")
    return "".join(cells)


def _interval(column: Column, value: Value) -> str:
    """A ratio with its interval set apart; "" for anything else."""
    if not isinstance(value, Ratio):
        return ""
    number, _, ends = column.text(value).partition(" ")
    return f"{escape(number)} <small>{escape(ends)}</small>"


def _classes(group: Group, index: int) -> str:
    words = any(isinstance(row[index], str) for row in group.rows)
    names = [
        "" if words or group.kind == "label" else "number",
        "edge" if index == 0 and group.kind != "label" else "",
        "remark" if group.kind == "note" else "",
    ]
    found = " ".join(name for name in names if name)
    return f' class="{found}"' if found else ""


def chip(verdict: Verdict, text: str = "", link: str = "") -> str:
    """An answer at a glance.

    Args:
        verdict: whose answer.
        text: what it is about; its answer in words if "".
        link: where more is said; "" for nowhere.
    """
    classes = f"chip {CLASSES[verdict.answer]}"
    sign = f'<span aria-hidden="true">{SIGNS[verdict.answer]}</span>'
    spoken = f'<span class="spoken">{escape(verdict.answer)}: </span>' if text else ""
    inner = f"{sign} {spoken}{escape(text or verdict.answer)}"
    if not link:
        return f'<span class="{classes}">{inner}</span>'
    title = escape(verdict.sentence)
    return f'<a class="{classes}" href="#{escape(link)}" title="{title}">{inner}</a>'


def answers_legend() -> str:
    """What the signs mean, in a line."""
    items = "".join(
        f'<li><span class="chip {CLASSES[answer]}">{SIGNS[answer]}</span> {answer}</li>'
        for answer in SIGNS
    )
    return f'<ul class="kinds" aria-label="Signs">{items}</ul>'


Answers = dict[tuple[str, str], dict[str, Verdict]]
"""By what they are about, a series and a claim: the verdict at each place."""


def _answers(view: View) -> Answers:
    found: Answers = {}
    for place in view.places:
        for where, verdict in verdicts_of(place.result):
            found.setdefault((where, verdict.claim), {})[place.label] = verdict
    return found


def verdicts(view: View) -> str:
    """What a view's times say: a line for each series, places beside each other; "" for none."""
    answers = _answers(view)
    if not answers:
        return ""
    labels = [place.label for place in view.places]
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(where or "all together")}{_asked(claim)}</th>'
        f"{''.join(_verdict(at.get(label), label) for label in labels)}</tr>"
        for (where, claim), at in answers.items()
    )
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="Verdicts">
<table class="verdicts">
<thead><tr><td></td>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _asked(claim: str) -> str:
    return f'<span class="asked">{escape(claim)}?</span>' if claim else ""


def _verdict(verdict: Verdict | None, label: str) -> str:
    at = f' data-label="{escape(label)}"'
    if verdict is None:
        return f'<td class="missing"{at}>–</td>'
    return f"<td{at}>{chip(verdict)}<p>{escape(verdict.reason)}</p></td>"


def overview(studies: Sequence[Shown]) -> str:
    """All verdicts at a glance: a row for each claim, a column for each place."""
    places = list(
        dict.fromkeys(
            (view.heading, place.label)
            for one in studies
            for view in one.views
            for place in view.places
            if verdicts_of(place.result)
        )
    )
    short = shortened([heading for heading, _ in places])
    named = {(at, label): ", ".join(filter(None, (label, short[at]))) for at, label in places}
    rows = [row for one in studies for row in _overview_rows(one, named)]
    if not rows:
        return "<p>No claim was tested.</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in named.values())
    classes = "overview few" if len(named) <= FEW else "overview"
    lines = "\n".join(rows)
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="All verdicts">
<table class="{classes}">
<thead><tr><th scope="col">claim</th>{head}</tr></thead>
<tbody>
{lines}
</tbody>
</table>
</div>
{answers_legend()}"""


def _overview_rows(study: Shown, places: Mapping[tuple[str, str], str]) -> list[str]:
    """A study's rows; the places by their view's heading and their label, with their names."""
    cells: dict[str, dict[tuple[str, str], list[str]]] = {}
    for view in study.views:
        for (where, claim), at in _answers(view).items():
            link = anchor("study", study.about.study, view.heading, where)
            for label, verdict in at.items():
                line = cells.setdefault(short_claim(claim), {})
                own = line.setdefault((view.heading, label), [])
                own.append(chip(verdict, where or "all", link))
    name = escape(study.about.study)
    link = anchor("study", study.about.study)
    found = []
    for claim, by_place in cells.items():
        columns = "".join(
            f'<td data-label="{escape(name)}">{" ".join(by_place.get(place, ["–"]))}</td>'
            for place, name in places.items()
        )
        found.append(
            f'<tr><th scope="row"><a href="#{link}">{name}</a>'
            f"<span>{escape(claim or study.about.claim)}</span></th>{columns}</tr>"
        )
    return found
