"""`qyran audit`: who called the service, and is the log of it as it was written?"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from engine.access import audit
from engine.config import load_config


def check_audit(path: Path, console: Console) -> bool:
    """Print what the audit log holds and where its chain is broken; False where it is."""
    folder = load_config(path, opens_cameras=False).audit_folder
    lines, problems = audit.check(folder)
    for problem in problems:
        console.print(f"[red]{problem}[/]", highlight=False)
    console.print(f"{folder}: {lines} lines, {'whole' if not problems else f'{len(problems)} breaks'}", highlight=False)
    return not problems
