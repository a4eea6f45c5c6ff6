"""The rules: the law (`catalogue`), the site file (`engine.site`), and what vehicles did (`kinds`).

`rulebook` applies the rules of all cameras to a batch, `evaluator` holds what all kinds share, `kinds` one module a
kind.
"""

from __future__ import annotations

from pathlib import Path

from engine.rules.catalogue import Catalogue, load_catalogue
from engine.rules.check import check_site
from engine.rules.kinds import rule_kinds
from engine.rules.rulebook import SiteRulebook
from engine.site import Site
from engine.site import file as site_file

__all__ = ["Catalogue", "SiteRulebook", "check_site", "load_catalogue", "load_site", "parse_site"]


def load_site(path: Path) -> Site:
    """Read a site file with the rules of all kinds. Raises ConfigError with the file and the place in it."""
    return site_file.load_site(path, tuple(kind.rule for kind in rule_kinds().values()))


def parse_site(text: str, *, source: str, still: Path | None = None) -> Site:
    """Read a site from its file's text (see `engine.site.file.parse_site`). Raises ConfigError."""
    return site_file.parse_site(text, tuple(kind.rule for kind in rule_kinds().values()), source=source, still=still)
