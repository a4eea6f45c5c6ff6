"""What the state's registries know of a vehicle's papers: a snapshot on this machine, or a service that is asked."""

from engine.identify.papers.remote import RemoteRegistry
from engine.identify.papers.snapshot import SnapshotRegistry, import_csv

__all__ = ["RemoteRegistry", "SnapshotRegistry", "import_csv"]
