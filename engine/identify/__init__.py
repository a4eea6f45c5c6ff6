"""The inquiry: between the rules and the evidence, whose vehicle is it, and does the second look bear the rule out?"""

from engine.identify.identifier import Looks, VehicleIdentifier
from engine.identify.owner import Identification, StolenList, nobodys

__all__ = ["Identification", "Looks", "StolenList", "VehicleIdentifier", "nobodys"]
