"""State of vehicle papers, from a registry: a snapshot on this machine, or a service."""

from engine.identify.papers.remote import RemoteRegistry
from engine.identify.papers.snapshot import SnapshotRegistry, import_csv

__all__ = ["RemoteRegistry", "SnapshotRegistry", "import_csv"]
