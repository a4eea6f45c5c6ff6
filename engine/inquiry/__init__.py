"""The inquiry: between the rules and the evidence, whose vehicle is it, and does the second look bear the rule out?"""

from engine.inquiry.investigator import Looks, SecondLookInvestigator
from engine.inquiry.owner import Identification, StolenList, nobodys

__all__ = ["Identification", "Looks", "SecondLookInvestigator", "StolenList", "nobodys"]
