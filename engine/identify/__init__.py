"""Identification, between rules and evidence: reads the plate, and confirms or drops suspicions."""

from engine.identify.identifier import Looks, VehicleIdentifier
from engine.identify.owner import Identification, StolenList

__all__ = ["Identification", "Looks", "StolenList", "VehicleIdentifier"]
