#!/bin/sh
# benchmarks/peers/install.sh NAME DIR
# Makes the virtual environment DIR with another toolkit in it: NAME is fairseq, eole, joeynmt, hf (transformers) or
# ctranslate2.
#   PYTHON=/path/to/python3.11   the interpreter to use (default: python3.11)
# NAME.txt beside this file pins every package; PyTorch's CPU build is the same in all that have it.  fairseq's two
# modules in Cython are compiled, which takes a C++ compiler and about a minute.
set -eu
name=$1
directory=$2
here=$(cd "$(dirname "$0")" && pwd)
pins=$here/$name.txt
python=$directory/bin/python
[ -f "$pins" ] || { echo "there is no peer '$name'; fairseq, eole, joeynmt, hf and ctranslate2 are known" >&2; exit 2; }

# 1. An environment of its own.  Packages are pinned down to the last, so nothing is resolved: what eole and joeynmt ask
#    for beyond these (spaCy, fastText, torchcodec; pylint, an old protobuf) their training never imports.
[ -x "$python" ] || "${PYTHON:-python3.11}" -m venv "$directory"
pip() { "$python" -m pip --disable-pip-version-check --no-input -q "$@"; }
uv() {
  command=$1; shift
  UV_SYSTEM_CERTS=true "$directory/bin/uv" pip "$command" -q --python "$python" \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} "$@"
}
pip install uv
if torch=$(grep '^torch==' "$pins"); then
  pip install --no-index --no-deps "$torch" 2>/dev/null || uv install --no-deps --torch-backend cpu "$torch"
fi
uv install --no-deps -r "$pins"

# 2. What fairseq 0.12.2 (2022) needs to start on Python 3.11.
if [ "$name" = fairseq ]; then
  packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # Since 3.11 a dataclass refuses an object without a hash as a default: each is made anew by a factory instead.
  # Hydra 1.0, which fairseq asks for, has the same fault.
  configs="$packages/fairseq/dataclass/configs.py $packages/fairseq/models/transformer/transformer_config.py"
  # shellcheck disable=SC2086
  sed -i -E -e 's/^( +)(\w+): *(\w+) *= *\3\(\)$/\1\2: \3 = field(default_factory=\3)/' \
    -e 's/field\(default=(\w+)\(\)\)/field(default_factory=\1)/' $configs "$packages/hydra/conf/__init__.py"
  # ... and where the class's default was read, there is none any more: an instance has it.
  sed -i 's/v = FairseqConfig.__dataclass_fields__\[k\].default$/v = getattr(FairseqConfig(), k)/' \
    "$packages/fairseq/dataclass/initialize.py"
  # NumPy 1.24 took away the alias np.int.
  sed -i -E 's/\bnp\.int\b/int/' "$packages/fairseq/data/data_utils.py"
fi
[ "$name" = hf ] && name=transformers
"$python" -c "import $name; from importlib.metadata import version; print('$name', version('$name'))"
