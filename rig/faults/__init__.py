"""Delivery under faults: a program that can be killed (`engine`), and the faults (`scenarios`)."""
