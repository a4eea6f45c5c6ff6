"""What values in the files of operators may be, and the base of what is read from them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Fraction01 = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""Letters, digits, dot, dash and underscore: it becomes part of file names, labels and case ids."""
Region = tuple[Fraction01, Fraction01, Fraction01, Fraction01]
"""Left, top, right, bottom as fractions of the picture."""

Review = Literal["automatic", "officer"]
"""Who decides a case of a kind: nobody more than the machine, or an officer."""

WHOLE_PICTURE: Region = (0.0, 0.0, 1.0, 1.0)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that is read from a file: frozen, and an unknown key is an error."""
