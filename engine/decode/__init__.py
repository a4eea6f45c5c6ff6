"""Packets to pictures: `cpu` and `device` decode many small ones for the detector; the fetchers, a few whole frames."""
