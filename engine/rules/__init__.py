"""The rules: what the law says (`catalogue`), what a site says (`engine.site`), and what the vehicles did (`kinds`).

`rulebook` knows the order of things, `kind` what every kind has in common, `kinds` has a file for each.
"""

from engine.rules.catalogue import Catalogue, load_catalogue
from engine.rules.check import check_site
from engine.rules.rulebook import SiteRulebook

__all__ = ["Catalogue", "SiteRulebook", "check_site", "load_catalogue"]
