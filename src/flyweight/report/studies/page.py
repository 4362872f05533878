"""The page of studies: all verdicts at its top, then each study with its charts and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from flyweight.records import Record
from flyweight.report import sections
from flyweight.report.document import document
from flyweight.report.findings import summary
from flyweight.report.page import drawn
from flyweight.report.page import figures as record_figures
from flyweight.report.studies import tables
from flyweight.report.studies.cards import card
from flyweight.report.studies.places import Shown, View, by_engine
from flyweight.report.studies.tables import anchor
from flyweight.report.text import counted
from flyweight.studies import StudyResult, machine_of, verdicts_of, verdicts_said

FEW = 6
"""So many warnings are shown at once; more of them only when they are opened."""


@dataclass(frozen=True)
class Bench:
    """Records that were timed against each other, and belong to no study.

    Attributes:
        name: of their file.
        records: themselves.
    """

    name: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its place on the page.
        title: in the list of contents.
        html: itself.
        specs: its charts.
    """

    key: str
    title: str
    html: str
    specs: tuple[str, ...] = ()


def results_page(
    results: Sequence[StudyResult], benches: Sequence[Bench] = (), remark: str = ""
) -> str:
    """A page of one study or several, and of other measurements."""
    studies = by_engine(results)
    title = studies[0].about.source if len(studies) == 1 else "The papers, run here"
    if not studies:
        title = "Measurements"
    tested = any(verdicts_of(one) for one in results)
    said = verdicts_said(results) if tested or len(studies) > 1 else ""
    records = [record for one in results for record in one.records]
    records += [record for bench in benches for record in bench.records]
    return assembled(
        title,
        sorted({machine_of(record) for record in records}),
        said,
        [*(study_section(one, len(studies) > 1) for one in studies),
         *(_bench(bench, index) for index, bench in enumerate(benches))],
        studies,
        records,
        remark,
    )  # fmt: skip


def assembled(
    title: str,
    machines: Sequence[str],
    said: str,
    parts: Sequence[Section],
    studies: Sequence[Shown],
    records: Sequence[Record],
    remark: str = "",
) -> str:
    """A page of its parts, with its contents and what all of them share.

    Args:
        title: of the page.
        machines: what was timed on, in words.
        said: what was found, in a sentence.
        parts: a section for each study, and others.
        studies: whose verdicts and warnings are shown.
        records: whose environments are shown.
        remark: beside what was found.
    """
    last = [Section("warnings", "Warnings", _warnings(studies))]
    if records:
        last += [
            Section("method", "How it was measured", sections.method(records)),
            Section("environment", "Environment", sections.environments(records)),
        ]
    several = len(parts) > 1
    first = []
    if several and studies:
        first = [Section("verdicts", "All verdicts", tables.overview(studies))]
    listed = [*first, *parts, *last]
    where = "".join(f'<p class="where">{escape(one)}</p>' for one in machines)
    body = f"""<header>
<h1>{escape(title)}</h1>
{where}
{f'<p class="summary">{escape(said)}</p>' if said else ""}
{f'<p class="note">{escape(remark)}</p>' if remark else ""}
{_contents(listed) if several else ""}
</header>
<main>
{"".join(_section(one) for one in first)}
{"".join(one.html for one in parts)}
{"".join(_section(one) for one in last)}
</main>"""
    return document(f"Flyweight: {title}", body, [chart for part in parts for chart in part.specs])


def _contents(parts: Sequence[Section]) -> str:
    items = "\n".join(
        f'<li><a href="#{escape(part.key)}">{escape(part.title)}</a></li>' for part in parts
    )
    return f'<nav aria-label="Contents"><ul class="contents">\n{items}\n</ul></nav>'


def _section(part: Section) -> str:
    return f"""<section id="{escape(part.key)}">
<h2>{escape(part.title)}</h2>
{part.html}
</section>
"""


def study_section(study: Shown, named: bool) -> Section:
    """A study with all of its views.

    Args:
        study: which one.
        named: whether it is one of several, and so says its name.
    """
    about = study.about
    key = anchor("study", about.study)
    parts = [_view(study, view) for view in study.views]
    counts = "".join(
        tables.figures(table.name, [("", table)], anchor(key, table.name), 3)
        for table in about.computed
    )
    claim = f'<p class="claim">{escape(about.claim)}</p>' if about.claim else ""
    reading = f'<p class="note">Our reading: {escape(about.reading)}.</p>' if about.reading else ""
    title = f"{about.study}: {about.title}" if named else about.title[:1].upper() + about.title[1:]
    html = f"""<section id="{key}" class="study">
<h2>{escape(title)}</h2>
<p class="source">{escape(about.source)}</p>
{claim}
{reading}
{"".join(part.html for part in parts)}
{counts}
</section>
"""
    specs = tuple(chart for part in parts for chart in part.specs)
    return Section(key, f"{about.study}: {about.title} ({about.source})", html, specs)


def _view(study: Shown, view: View) -> Section:
    key = anchor("study", study.about.study, view.heading)
    heading = f"<h3>{escape(view.heading)}</h3>" if view.heading else ""
    charts, specs = card(view, key)
    shown = [(name, view.tables(name)) for name in view.series]
    figures = "\n".join(
        tables.figures(name, each, anchor(key, name)) for name, each in shown if each
    )
    legend_ = tables.kinds_legend() if figures else ""
    html = f"{heading}\n{charts}\n{tables.verdicts(view)}\n{legend_}\n{figures}\n"
    return Section(key, view.heading, html, specs)


def _bench(bench: Bench, index: int) -> Section:
    key = f"records-{index}"
    charts = drawn(bench.records, f"{key}-", 3)
    count = counted(len(bench.records), "runner")
    html = f"""<section id="{key}">
<h2>{escape(bench.name)}: {count}</h2>
<p>{escape(summary(bench.records))}</p>
{charts.html}
<details>
<summary>All figures</summary>
{record_figures(bench.records)}
</details>
</section>
"""
    return Section(key, f"{bench.name}: {count}", html, charts.specs)


def _warnings(studies: Sequence[Shown]) -> str:
    """What makes timings suspicious, series by series."""
    items = []
    for study in studies:
        for view in study.views:
            for name in view.series:
                for label, one in view.of(name):
                    said = list(one.warnings)
                    if not one.complete:
                        said.insert(0, "Interrupted before its time was up.")
                    if said:
                        where = ", ".join(filter(None, (f"{study.about.study} {name}", label)))
                        text = escape(" ".join(said))
                        items.append(f"<li><b>{escape(where)}</b>: {text}</li>")
    if not items:
        return "<p>None.</p>"
    shown = "<ul>\n" + "\n".join(items) + "\n</ul>"
    if len(items) <= FEW:
        return shown
    return f"<details>\n<summary>Of {len(items)} timings</summary>\n{shown}\n</details>"
