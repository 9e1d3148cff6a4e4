#!/usr/bin/env bash
# Builds and runs a user's C and C++ program (CMakeLists.txt, program.cpp and examples/layer.c), in a folder with
# spaces in its name.
#   install_test.sh SOURCE BUILD CONFIGURATION find_package     against an installed tree, then moved, then by links
#   install_test.sh SOURCE BUILD CONFIGURATION pkg_config       the same without CMake
#   install_test.sh SOURCE BUILD CONFIGURATION add_subdirectory with the source as a part of the user's project
set -euo pipefail
source=$1 build=$2 configuration=$3 way=$4
work="$build/tests/install/by $way"
rm -rf "$work"
mkdir -p "$work"
unset GRKAN_COMPILER GRKAN_CUDA_DRIVER LD_LIBRARY_PATH
c_says='x -3: y -0.75, dx 0.0625;*'
cpp_says='grkan *: y -0.75 0 0.5 0.75'
problem=p1q1-A-c4-g1-f32-last
check_says="*, 0 failed"

fail() { echo "$*" >&2; exit 1; }

# says PATTERN COMMAND...: runs with an empty cache (or the one of $cache), so that it needs the compiler library.
says() {
  local pattern=$1 output
  shift
  output=$(GRKAN_CACHE_DIR=${cache:-$(mktemp -d "$work/cache.XXXXXX")} "$@" 2>&1) ||
    fail "$*"$'\n'"exited $?: $output"
  # shellcheck disable=SC2053
  [[ $output == $pattern ]] || fail "$*"$'\n'"expected: $pattern"$'\n'"got: $output"
}

# refuses PATTERN COMMAND...: the same of one that must fail.
refuses() {
  local pattern=$1 output
  shift
  if output=$(GRKAN_CACHE_DIR=$(mktemp -d "$work/cache.XXXXXX") "$@" 2>&1); then fail "$*"$'\n'"did not fail: $output"; fi
  # shellcheck disable=SC2053
  [[ $output == $pattern ]] || fail "$*"$'\n'"expected: $pattern"$'\n'"got: $output"
}

# quiet COMMAND...: its output only where it fails.
quiet() {
  local output
  output=$("$@" 2>&1) || fail "$*"$'\n'"$output"
}

user_project() {  # FOLDER OPTION...
  quiet cmake -S "$source/tests/install" -B "$1" -G Ninja -DCMAKE_BUILD_TYPE="$configuration" \
    -DGRKAN_EXAMPLE="$source/examples/layer.c" "${@:2}"
}

install_into() {
  prefix=$1
  quiet cmake --install "$build" --prefix "$prefix"
  lib=$(dirname "$(find "$prefix" -name libgrkan.so)")
}

# What is installed is whole, exports no foreign name and knows no path of this build.
look_at_files() {
  local name file
  for name in bin/grkan include/grkan.h share/doc/grkan/LICENSE share/doc/grkan/README.md \
    share/doc/grkan/docs/runtime.md share/doc/grkan/examples/layer.c; do
    [ -f "$prefix/$name" ] || fail "$name is not installed"
  done
  [ -n "$(find "$prefix/share/grkan/winners" -name '*.json' | head -1)" ] || fail "no winners are installed"
  local version
  version=$("$prefix/bin/grkan" --version)
  version=${version##* }
  [ -f "$lib/libgrkan.so.$version" ] || fail "libgrkan.so.$version is not installed"
  readelf -d "$lib/libgrkan.so" | grep -q "soname: \[libgrkan.so.${version%.*}\]" ||
    fail "libgrkan's soname is not libgrkan.so.${version%.*}: $(readelf -d "$lib/libgrkan.so" | grep SONAME)"
  if nm -D --defined-only "$lib/libgrkan.so" | grep -v ' [TA] grkan_'; then fail "exported by libgrkan"; fi
  if nm -D --defined-only "$lib/libgrkan_compiler.so" | grep -v ' [TA] grkan_'; then
    fail "exported by libgrkan_compiler"
  fi
  file=$(grep -rlF -e "$build" -e "$source/" "$prefix" || true)
  [ -z "$file" ] || fail "a path of this build is in $file"
}

by_find_package() {
  install_into "$work/first place"
  look_at_files
  user_project "$work/program" -DCMAKE_PREFIX_PATH="$prefix"
  quiet cmake --build "$work/program"
  says "$c_says" "$work/program/c_program"
  says "$cpp_says"$'\n''a plan on virtual:h200' "$work/program/cpp_program" virtual:h200
  says "$check_says" "$prefix/bin/grkan" check "$problem" --rows 3
  refuses '*version*99*' cmake -S "$source/tests/install" -B "$work/newer" -DCMAKE_PREFIX_PATH="$prefix" \
    -DGRKAN_EXAMPLE="$source/examples/layer.c" -DGRKAN_WANTED=99
  quiet cmake -S "$prefix/share/doc/grkan/examples" -B "$work/examples" -G Ninja -DCMAKE_PREFIX_PATH="$prefix"
  quiet cmake --build "$work/examples"
  says "$c_says" "$work/examples/layer"

  echo "moved"
  mv "$prefix" "$work/second place"
  lib="$work/second place${lib#"$prefix"}" prefix="$work/second place"
  says "*evidence: measured*cache_entry: $prefix/share/grkan/winners/*" "$prefix/bin/grkan" explain \
    forward/p5q4-A-c768-g1x8-bf16-last --device virtual:h200 --rows 25216
  says "$cpp_says"$'\n''a plan on virtual:h200' env LD_LIBRARY_PATH="$lib" "$work/program/cpp_program" virtual:h200
  says "$check_says" "$prefix/bin/grkan" check "$problem" --rows 3
  user_project "$work/again" -DCMAKE_PREFIX_PATH="$prefix"
  quiet cmake --build "$work/again"
  says "$cpp_says" "$work/again/cpp_program"

  echo "through links"
  mkdir -p "$work/links/lib"
  ln -s "$prefix" "$work/links/prefix"
  ln -s "$prefix/bin/grkan" "$work/links/grkan"
  ln -s "$lib"/libgrkan.so.* "$work/links/lib"
  says "$check_says" "$work/links/prefix/bin/grkan" check "$problem" --rows 3
  says "$check_says" "$work/links/grkan" check "$problem" --rows 3
  says "$check_says" env PATH="$work/links:$PATH" grkan check "$problem" --rows 3
  says "$cpp_says"$'\n''a plan on virtual:h200' \
    env LD_LIBRARY_PATH="$work/links/lib" "$work/program/cpp_program" virtual:h200
  cd "$work/links"
  says "$cpp_says"$'\n''a plan on virtual:h200' env LD_LIBRARY_PATH=lib "$work/program/cpp_program" virtual:h200

  echo "without the compiler library and the virtual GPU"
  cache=$work/cache says "$cpp_says" "$work/again/cpp_program"
  rm "$lib/libgrkan_compiler.so" "$lib/libgrkan_virtual_cuda.so"
  cache=$work/cache says "$cpp_says" "$work/again/cpp_program"
  says "*portable kernel*$lib/libgrkan_compiler.so*install it there, or set GRKAN_COMPILER*$cpp_says" \
    "$work/again/cpp_program"
  refuses "*no_device: *$lib/libgrkan_virtual_cuda.so*" \
    env GRKAN_COMPILER="$build/lib/libgrkan_compiler.so" "$work/again/cpp_program" virtual:h200
}

by_pkg_config() {
  if ! command -v pkg-config >/dev/null; then
    echo "SKIP: no pkg-config on this machine"
    exit 77
  fi
  install_into "$work/first place"
  mv "$prefix" "$work/second place"
  lib="$work/second place${lib#"$prefix"}" prefix="$work/second place"
  export PKG_CONFIG_PATH="$lib/pkgconfig"
  says "*$(pkg-config --modversion grkan)" "$prefix/bin/grkan" --version
  local flags
  eval "flags=($(pkg-config --cflags --libs grkan))"
  quiet cc -std=c11 "$source/examples/layer.c" "${flags[@]}" -o "$work/c_program"
  quiet c++ -std=c++11 "$source/tests/install/program.cpp" "${flags[@]}" -o "$work/cpp_program"
  export LD_LIBRARY_PATH=$lib
  says "$c_says" "$work/c_program"
  says "$cpp_says"$'\n''a plan on virtual:h200' "$work/cpp_program" virtual:h200
}

# Builds libgrkan alone: LLVM's part takes minutes, so of the other libraries only the wiring is looked at.
by_add_subdirectory() {
  local folder="$work/program"
  # With the flags of this build, so that ccache has it all.
  user_project "$folder" -DGRKAN_SOURCE="$source" -DGRKAN_WERROR=ON
  quiet ninja -C "$folder" -n grkan_compiler grkan_virtual_cuda grkan_cli
  if ninja -C "$folder" -t targets all | grep -E '(^|/)(problem_test|bench_dispatch|layer): '; then
    fail "tests, benchmarks or examples are in a user's build"
  fi
  quiet ninja -C "$folder" c_program cpp_program
  says "*portable kernel*$folder/grkan/lib/libgrkan_compiler.so*$cpp_says" "$folder/cpp_program"
  ln -s "$build/lib/libgrkan_compiler.so" "$folder/grkan/lib/"
  says "$c_says" "$folder/c_program"
  says "$cpp_says" "$folder/cpp_program"
  quiet cmake --install "$folder" --prefix "$work/prefix"
  [ ! -e "$work/prefix" ] || fail "grkan is installed with a project that did not ask for it"
}

"by_$way"
