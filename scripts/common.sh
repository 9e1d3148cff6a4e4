# Sourced by quickstart and test: what the machine needs, installed once.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build

# Debian packages, each with its reason in README.md.
build_packages=(g++ cmake ninja-build ccache git python3-venv
  llvm-22-dev libmlir-22-dev mlir-22-tools
  libfmt-dev nlohmann-json3-dev libxxhash-dev libcli11-dev libzstd-dev zlib1g-dev
  libgtest-dev libbenchmark-dev)
check_packages=(clang-format-22 clang-tidy-22 pkg-config chromium chromium-driver)
# PyPI wheels, pinned: golden figures depend on the compiler's version.
nvrtc_wheel=nvidia-cuda-nvrtc==13.0.88
nvdisasm_wheel=nvidia-cuda-nvdisasm==13.2.51
ray_wheel=ray==2.60.0

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# install_packages NAME...: installs what is missing; without root prints the one line to run and stops.
install_packages() {
  local missing=()
  local name
  for name in "$@"; do
    # Any python3 that can make a virtual environment will do.
    if [ "$name" = python3-venv ] && python3 -c 'import venv, ensurepip' 2>/dev/null; then continue; fi
    installed "$name" || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    echo "Packages are missing. As root, run this line, then run me again:" >&2
    echo "  $line" >&2
    exit 1
  fi
  echo "== installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# install_wheel NAME==VERSION: into build/venv, with what it needs.
install_wheel() {
  [ -x "$build/venv/bin/python" ] || python3 -m venv "$build/venv"
  "$build/venv/bin/python" -c "
import importlib.metadata as m, sys
name, version = sys.argv[1].split('==')
try: sys.exit(m.version(name) != version)
except m.PackageNotFoundError: sys.exit(1)" "$1" && return
  echo "== installing $1 into build/venv"
  "$build/venv/bin/python" -m pip install -q --disable-pip-version-check "$1"
}

have_nvrtc() {
  [ -n "${GRKAN_NVRTC:-}" ] && return 0
  local path
  for path in "${CUDA_HOME:-/usr/local/cuda}"/lib64/libnvrtc.so.13 /usr/local/cuda-13*/lib64/libnvrtc.so.13; do
    [ -e "$path" ] && return 0
  done
  return 1
}

install_for_build() {
  install_packages "${build_packages[@]}" "$@"
  mkdir -p "$build"
  have_nvrtc || install_wheel "$nvrtc_wheel"
}

# configure PRESET
configure() {
  local folder=build
  [ "$1" = release ] || folder=build-$1
  [ -f "$root/$folder/build.ninja" ] || (cd "$root" && cmake --preset "$1" >/dev/null)
}

# part NAME COMMAND...: runs a part and prints how long it took.
part() {
  local name=$1 start
  shift
  start=$(date +%s.%N)
  "$@"
  printf -- '-- %s: %.1f s\n' "$name" "$(echo "$(date +%s.%N) $start" | awk '{print $1 - $2}')"
}
