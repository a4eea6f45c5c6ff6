"""Generate the Python code of the protocol beside its .proto files: `python proto/generate.py [FOLDER]`.

With a folder, everything is written there instead: the test of drift compares.
"""

from __future__ import annotations

import sys
import sysconfig
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent


def generate(target: Path) -> None:
    """Write `qyran/v1/*_pb2*.py[i]` below `target`; raises SystemExit where protoc refuses."""
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.glob("qyran/**/*.proto"))
    services = [name for name in sources if name.endswith("_service.proto")]
    _protoc([f"--python_out={target}", _plugin("mypy"), f"--mypy_out=quiet:{target}", *sources])
    _protoc([f"--grpc_python_out={target}", _plugin("mypy_grpc"), f"--mypy_grpc_out=quiet:{target}", *services])


def _plugin(name: str) -> str:
    """mypy-protobuf's plugin from this Python's own scripts, whatever PATH says."""
    return f"--plugin=protoc-gen-{name}={sysconfig.get_path('scripts')}/protoc-gen-{name}"


def _protoc(arguments: list[str]) -> None:
    include = resources.files("grpc_tools") / "_proto"
    if protoc.main(["protoc", f"-I{HERE}", f"-I{include}", *arguments]) != 0:
        raise SystemExit("protoc failed")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
