"""Packets to pictures: `cpu` for the detector, small, many a second; `second_look` for the evidence, whole and few."""
