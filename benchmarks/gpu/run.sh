#!/usr/bin/env bash
# Measures every runtime that is there on an NVIDIA GPU, in under eight minutes, without network.
#
#   benchmarks/gpu/run.sh                        MiniLM and BERT-base, random weights, dense and pruned
#   benchmarks/gpu/run.sh MODEL_FOLDER…          these models instead
#   benchmarks/gpu/run.sh --dry-run              checks every step's inputs; needs no GPU
#   benchmarks/gpu/run.sh --cpu                  the same harness on tiny models and the CPU
#   benchmarks/gpu/run.sh --help                 all options
#
# Needs Python 3.11 or newer with torch, transformers and onnx; the project is taken from this source
# tree, nothing is installed. Finished steps are kept (--work) and skipped by the next run.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export PYTHONPATH="$root:$root/calibration:$root/cli:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
for name in torch transformers onnx onnxruntime onnxscript psutil typer sklearn safetensors; do
  "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" ||
    { echo "error: $python has no package $name, which this benchmark needs" >&2; exit 5; }
done
exec "$python" -m gpu.main "$@"
