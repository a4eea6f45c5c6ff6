"""Generated code of Qyran's protocol."""
