"""The delivery half under faults: a program that can be killed (`engine`), and what is done to it (`scenarios`)."""
