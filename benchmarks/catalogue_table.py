"""Table of the catalogue in docs/rules.md."""

from __future__ import annotations

from benchmarks.pages import ROOT, between
from engine.rules.catalogue import Catalogue, Kind, Part, load_catalogue
from engine.rules.kinds import rule_kinds
from engine.rules.kinds.average_speed import SectionEndRule
from engine.rules.second_look import ClassifierRule, RegistryRule

PAGE = ROOT / "docs" / "rules.md"
HEADER = ("kind", "judged", "article", "for", "sanction", "repeated", "outcome", "measured", "what proves it")


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return between(text, "catalogue", render(load_catalogue("kz")))


def render(catalogue: Catalogue) -> str:
    """The catalogue in Markdown: one line for each part, in the order of the file."""
    lines = [_row(HEADER), _row(["---"] * len(HEADER))]
    lines += [_row(cells) for kind in catalogue.kinds for cells in _cells(kind)]
    return "\n".join([*_head(catalogue), "", *lines, "", *_limits(catalogue)]) + "\n"


def _head(catalogue: Catalogue) -> list[str]:
    unit = catalogue.unit
    values = ", ".join(f"{value:,.0f} {unit.currency} in {year}" for year, value in unit.value_by_year.items())
    return [
        f"Catalogue `{catalogue.version}`: {catalogue.law}. Applies to events from {catalogue.valid_from:%d %B %Y} on.",
        f"{unit.name} is the {unit.title}: {values}. Repeated means within {catalogue.repeat_within_days} days.",
        "† not confirmed by a published source.",
    ]


def _cells(kind: Kind) -> list[list[str]]:
    """The cells of each part. Cells that describe the whole kind are in its first line only."""
    since = f" (from {kind.valid_from:%d %b %Y})" if kind.valid_from else ""
    first = [f"`{kind.kind}`{since}", _judged(kind.kind)]
    last = [kind.outcome, "yes" if kind.measured else "no", kind.proof]
    return [
        [*(first if n == 0 else ["", ""]), *_part(part), *(last if n == 0 else ["", "", ""])]
        for n, part in enumerate(kind.parts)
    ]


def _judged(kind: str) -> str:
    """What a kind needs besides a site; "yes" if it needs nothing else, "not yet" if no rule judges it."""
    if kind not in rule_kinds():
        return "not yet"
    rule = rule_kinds()[kind].rule
    words = {RegistryRule: "with a registry", ClassifierRule: "with your own model", SectionEndRule: "with a section"}
    return next((text for base, text in words.items() if issubclass(rule, base)), "yes")


def _part(part: Part) -> list[str]:
    article = (part.article or "unknown") + "†" * bool({"article", "part"} & set(part.unverified))
    fine = f"{part.units:g}" if part.units else ""
    sanction = " ".join(filter(None, [fine, part.sanction])) or "unknown"
    repeated = " ".join(filter(None, [f"{part.repeat_units:g}" if part.repeat_units else "", _by(part)]))
    return [article, _condition(part), sanction + "†" * ("sanction" in part.unverified), repeated]


def _by(part: Part) -> str:
    return f"({part.repeat_article})" if part.repeat_article else ""


def _condition(part: Part) -> str:
    if part.over_above_kmh is not None:
        return f"more than {part.over_above_kmh:g} km/h over"
    if part.over_at_least_kmh is not None:
        return f"{part.over_at_least_kmh:g} km/h over and more"
    return part.variant.replace("_", " ")


def _limits(catalogue: Catalogue) -> list[str]:
    lines = [
        f"- {limit.place}, {', '.join(limit.classes)}: {limit.kmh:g} km/h"
        + (f" (from {limit.valid_from:%d %b %Y})" if limit.valid_from else "")
        for limit in catalogue.usual_limits
    ]
    return ["Limits that the law sets where no sign does (a site file states its own):", "", *lines]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
