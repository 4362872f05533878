"""What the advisor says, as a page: before and after, the five biggest items, then the details."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from flyweight.report.saving import write_page
from flyweight.report.sections import environments, timing
from flyweight.report.text import digits, interval

if TYPE_CHECKING:
    from flyweight.advising import Advice, Finding, Trial
    from flyweight.records import Ratio

BIGGEST = 5
_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style
$bars
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="summary">$summary</p>
</header>
<main>
<section class="card"><h2>Before and after</h2>
$before_and_after
</section>
<section><h2>What costs time, and can be helped</h2>
$biggest
</section>
<section><h2>Exact advice: the network computes the same</h2>
$exact
</section>
<section><h2>Architectural advice: another network, to be trained</h2>
$architectural
</section>
<section><h2>All findings</h2>
$findings
</section>
<section><h2>How it was measured</h2>
<p>Each piece of advice was timed against the network as it is, in the same rounds, beside a second
instance of the network as it is. It was kept if the 95% interval of the ratio excludes 1 by more
than those two instances differ; it was withdrawn otherwise.</p>
$method
</section>
<section><h2>Environment</h2>
$environments
</section>
</main>
</body>
</html>
"""
)
_BARS = """
.card h2 { margin-top: 0; }
.bar { display: grid; grid-template-columns: 22ch 1fr; gap: 4px 12px; align-items: center; }
.bar div { min-height: 22px; }
.bar .fill { background: var(--accent); border-radius: 3px; }
.bar .as-it-is { background: var(--soft); }
.bar span { white-space: nowrap; padding-left: 6px; }
.bar .line { display: flex; align-items: center; }
.kept { font-weight: 600; }
code { font-size: 13px; }
.scroll th[scope="row"] { min-width: 20ch; max-width: 34ch; white-space: normal; }
.scroll td:last-child { min-width: 30ch; white-space: normal; }
@media (max-width: 600px) {
  .bar { grid-template-columns: 1fr; }
  .bar .line { flex-wrap: wrap; margin-bottom: 8px; }
  .bar span { padding-left: 0; width: 100%; }
  .scroll th[scope="row"] { min-width: 16ch; }
}
"""


def write_advice_html(advice: Advice, path: Path) -> None:
    """Write one page that needs nothing else, neither beside it nor from the network.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    text = advice_page(advice)
    write_page(text, path)


def advice_page(advice: Advice) -> str:
    """The whole page."""
    sizes = "x".join(map(str, advice.input))
    confirmed = advice.confirmed()
    style = resources.files("flyweight.report").joinpath("style.css").read_text(encoding="utf-8")
    unread = "".join(f"<p>Not read: {escape(one)}</p>" for one in advice.unread)
    return _PAGE.substitute(
        title=escape(f"{advice.network} on {sizes}, {advice.setting}"),
        style=style,
        bars=_BARS,
        summary=escape(advice.summary()),
        before_and_after=_bars(advice) + unread,
        biggest=_items(confirmed[:BIGGEST])
        or "<p>Nothing was found that would help measurably. What was tried is below.</p>",
        exact=_trials(advice, "exact"),
        architectural=_trials(advice, "architectural"),
        findings=_items(advice.findings) or "<p>None.</p>",
        method=timing(advice.records) if advice.records else "",
        environments=environments(advice.records) if advice.records else "",
    )


def _bars(advice: Advice) -> str:
    """The network as it is, and what each kept piece of advice makes of its time."""
    rows: list[tuple[str, float, str]] = []
    shown = [one for one in (advice.exact, *advice.kept("architectural")) if one is not None]
    if advice.architectural is not None and advice.architectural.verdict == "kept":
        shown.append(advice.architectural)
    for one in shown:
        if one.ratio is not None:
            name = one.about if one.about else one.advice
            rows.append((f"{one.kind}: {name}", one.ratio.value, _ratio(one.ratio)))
    whole = "" if advice.total_s is None else f"{digits(advice.total_s * 1e3)} ms"
    bars = [("as it is", 1.0, whole), *rows]
    longest = max(value for _, value, _ in bars)
    lines = "".join(
        f'<div>{escape(name)}</div><div class="line">'
        f'<div class="fill{" as-it-is" if name == "as it is" else ""}"'
        f' style="width: {70 * value / longest:.1f}%"></div><span>{escape(text)}</span></div>'
        for name, value, text in bars
    )
    return f'<div class="bar">{lines}</div>'


def _ratio(ratio: Ratio) -> str:
    value, low, high = interval(ratio.value, ratio.low, ratio.high)
    return f"{value} of its time ({low}–{high})"


def _items(findings: Iterable[Finding]) -> str:
    items = "\n".join(f"<li>{_item(one)}</li>" for one in findings)
    return f"<ol>{items}</ol>" if items else ""


def _item(one: Finding) -> str:
    cost = ""
    if one.seconds is not None and one.share is not None:
        cost = f": {digits(one.seconds * 1e3)} ms, {one.share:.0%} of the time"
    guideline = f" ({one.guideline})" if one.guideline else ""
    places = "".join(f"<li><code>{escape(str(place))}</code></li>" for place in one.places)
    count = f"{len(one.places)} place{'s' if len(one.places) != 1 else ''}"
    return (
        f"<b>{escape(one.key)}{guideline}</b>{cost}"
        f"<p>{escape(one.reason)} {escape(one.evidence)}.</p>"
        f"<p>What to do ({one.kind}): {escape(one.remedy)}.</p>"
        f"<details><summary>{count}</summary><ul>{places}</ul></details>"
    )


def _trials(advice: Advice, kind: str) -> str:
    trials = [one for one in advice.trials if one.kind == kind]
    whole = advice.exact if kind == "exact" else advice.architectural
    if not trials:
        return "<p>None was tried.</p>"
    rows = "\n".join(_row(one) for one in trials)
    head = "".join(
        f'<th scope="col">{text}</th>'
        for text in ("advice", "verdict", "whole network", "block alone", "FLOPs", "why")
    )
    together = ""
    if whole is not None and whole.ratio is not None:
        together = (
            f"<p>All of it together, measured as one: {escape(whole.advice)}:"
            f" {escape(_ratio(whole.ratio))}, {whole.verdict}.</p>"
        )
    changed = "".join(_changes(one) for one in advice.kept(kind))
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{together}{changed}"
    )


def _row(one: Trial) -> str:
    name = f"{one.about}: {one.advice}" if one.about else one.advice
    flops = "" if one.ratio is None else f"{one.flops:.2f} of them"
    cells: Sequence[str] = (
        one.verdict,
        "" if one.ratio is None else _ratio(one.ratio),
        _alone(one),
        "the same" if one.kind == "exact" else flops,
        one.why,
    )
    style = ' class="kept"' if one.verdict == "kept" else ""
    return (
        f'<tr{style}><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _alone(one: Trial) -> str:
    if one.alone is None:
        return ""
    predicted = "" if one.predicted is None else f", which predicts {one.predicted:.2f}"
    return f"{_ratio(one.alone)} in {one.block}{predicted}"


def _changes(one: Trial) -> str:
    if not one.changes:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(change.layer)}</code></td><td>{escape(change.before)}</td>"
        f"<td>{escape(change.after)}</td></tr>"
        for change in one.changes
    )
    return (
        f"<details><summary>{escape(one.about)}: what changes</summary><table><thead><tr>"
        '<th scope="col">layer</th><th scope="col">from</th><th scope="col">to</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )
