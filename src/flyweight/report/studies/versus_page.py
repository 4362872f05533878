"""The page of two machines side by side."""

from html import escape

from flyweight.report.studies.page import Section, assembled, study_section
from flyweight.report.studies.versus import COMPARED, Side, versus


def versus_page(a: Side, b: Side) -> str:
    """A page with each study that both have run, their speeds and verdicts beside each other.

    Raises:
        FlyweightError: they have none in common.
    """
    found = versus(a, b)
    parts = [study_section(one, named=True) for one in found.studies]
    if found.left_out:
        said = "".join(f"<p>{escape(text)}</p>" for text in found.left_out)
        html = f'<section id="left-out">\n<h2>Not in both</h2>\n{said}\n</section>\n'
        parts.append(Section("left-out", "Not in both", html))
    return assembled(
        f"{a.name} and {b.name}",
        [f"{side.name}: {side.machine}" for side in (a, b)],
        COMPARED,
        parts,
        found.studies,
        [record for side in (a, b) for result in side.results for record in result.records],
    )
