#!/bin/sh
# benchmarks/gpu/decode_speed.sh [FOLDER] [--rehearse] [--minutes 8.5] [--systems SYSTEM ...]
# Measures decoding on this machine's GPU and writes FOLDER/decode_speed.json ($OUT, or runs/gpu, unless it is named).
# Nothing is fetched: Python 3.11 or newer with PyTorch, NumPy, safetensors, sacrebleu, typer and rich will do, and
# Seqloom's sources are used where they lie; ctranslate2 and transformers are measured where they are installed.
# --rehearse: on the processor with tiny models, in seconds.
#   PYTHON=/path/to/python3   the interpreter to use (default: python3)
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
case ${1:-} in
  '' | --*) folder=${OUT:-$project/runs/gpu} ;;
  *) folder=$1; shift ;;
esac
mkdir -p "$folder"
PYTHONPATH=$project/src${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-python3}" "$project/benchmarks/gpu/decode_speed.py" "$folder" "$@"
