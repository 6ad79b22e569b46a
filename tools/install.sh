#!/bin/sh
# tools/install.sh VENV EXTRAS
# Makes the virtual environment VENV, unless it is there, and installs this project with its EXTRAS into it.
#   PYTHON=/path/to/python3   the interpreter to use (default: the first of python3, python3.13, .12, .11 that will do)
#   TORCH=cpu|cuda|auto       the build of PyTorch (default auto: cuda where there is an NVIDIA GPU)
#   INSTALLER=pip             do without uv
set -eu
venv=$1
extras=$2
project=$(cd "$(dirname "$0")/.." && pwd)
constraints=$project/constraints.txt
python=$venv/bin/python

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }
quiet() { "$@" >/dev/null 2>&1; }

# 1. An interpreter and an environment.
new_enough() { quiet "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }
usable() { new_enough "$python" && quiet "$python" -m pip --version; }

remove_environment() {  # nothing but an environment is ever deleted
  [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || fail "$venv is there and is not a virtual environment; name another with VENV=..."
  rm -rf "$venv"
}

make_environment() {
  if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
  for candidate; do
    new_enough "$candidate" || continue
    remove_environment
    if quiet "$candidate" -m venv "$venv" && usable; then return; fi
    remove_environment
  done
  fail "Python 3.11 or newer with its venv module is needed (Debian, Ubuntu: apt install python3-venv); to name one: PYTHON=/path/to/python3 make ..."
}

usable || make_environment

# 2. uv installs in seconds what takes pip minutes; where it can't be had, or fails, pip does the work.
run_pip() { "$python" -m pip --disable-pip-version-check --no-input -q "$@"; }
run_uv() {
  UV_SYSTEM_CERTS=true "$venv/bin/uv" pip install -q --python "$python" \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} "$@"
}
uv=no
if [ "${INSTALLER:-uv}" = uv ] && quiet run_pip install -c "$constraints" uv; then uv=yes; fi

# 3. PyTorch by itself: on Linux the default index's build brings 3 GB of CUDA libraries, of no use without a GPU.
build=${TORCH:-auto}
case $build in
  auto) build=cpu; if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then build=cuda; fi ;;
  cpu | cuda) ;;
  *) fail "TORCH is cpu, cuda or auto, got '$build'" ;;
esac
wanted=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' "$constraints")
installed() {
  "$python" -c 'from importlib.metadata import version; print("torch==" + version("torch").split("+")[0])' 2>/dev/null
}

install_torch() {
  if [ "$build" = cpu ] && quiet run_pip install --no-index --no-deps "$wanted"; then
    say "PyTorch: the CPU build that this machine's pip is set up to find"
  elif [ "$build" = cpu ] && [ $uv = yes ] && quiet run_uv --torch-backend cpu "$wanted"; then
    say "PyTorch: the CPU build"
  elif [ "$build" = cuda ] && [ $uv = yes ] && quiet run_uv --torch-backend auto "$wanted"; then
    say "PyTorch: the CUDA build that suits this machine's driver"
  else
    say "PyTorch: the default index's build, with CUDA libraries (about 3 GB)"
  fi
}

if [ "$(uname -s)" = Linux ] && [ "$(installed)" != "$wanted" ]; then install_torch; fi

# 4. The rest.
if [ $uv = yes ] && run_uv -c "$constraints" -e "$project[$extras]"; then exit 0; fi
run_pip install -c "$constraints" -e "$project[$extras]" ||
  fail "The packages could not be installed; what pip says above tells why. The same command tries again."
