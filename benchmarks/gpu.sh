#!/usr/bin/env bash
# Install the GPU packages, run the GPU tests and run the GPU benchmarks.
#
#   benchmarks/gpu.sh [FOLDER]      FOLDER: wheels to install from if the machine has no access to a package index
#
# Results go to benchmarks/results/gpu/, named after the card. Set QYRAN_DATA to run parity on real videos. Run the script
# from a checkout, on a machine with driver 580 or newer. It creates a virtual environment in .venv-gpu.
set -euo pipefail
cd "$(dirname "$0")/.."

wheels=${1:-}
python=${PYTHON:-python3}
run=.venv-gpu/bin/python
pip=("$run" -m pip --disable-pip-version-check --quiet install)
[ -z "$wheels" ] || pip+=(--no-index --find-links "$wheels")

nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv
[ -x "$run" ] || "$python" -m venv .venv-gpu

"${pip[@]}" --editable '.[test,gpu]'
case $(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1) in
    9.0 | 10.*) "${pip[@]}" 'tensorrt-cu13>=10.13' ;; # TensorRT for RTX does not support Hopper and Blackwell servers
esac
"${pip[@]}" --force-reinstall --no-deps onnxruntime-gpu # replaces onnxruntime: both packages install the same files
"$run" -c 'import torch; assert torch.cuda.is_available(), f"torch {torch.__version__} sees no GPU"'

export QYRAN_REQUIRE_GPU=1
"$run" -m pytest -m gpu "${PYTEST_ARGS:--q}"

card=$("$run" -c 'import re, torch; print(re.sub(r"[^A-Za-z0-9]+", "-", torch.cuda.get_device_name()).lower())')
mkdir -p benchmarks/results/gpu
measure() {
    local name=$1 file=benchmarks/results/gpu/$1-$card.json
    shift
    echo "benchmark $name -> $file"
    "$run" -m benchmarks "$name" "$@" --json > "$file.part"
    mv "$file.part" "$file"
}
measure decode --device 0
measure detect
measure cameras
[ -z "${QYRAN_DATA:-}" ] || measure parity --data "$QYRAN_DATA"
"$run" -m engine capacity | tee "benchmarks/results/gpu/capacity-$card.txt"
