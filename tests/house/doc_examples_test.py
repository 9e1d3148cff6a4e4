"""The examples that the documentation shows, run as they stand there.

    doc_examples_test.py c       the C of grkan.h's head and of README.md, compiled and run
    doc_examples_test.py shell   command lines of README.md and docs/virtual-gpu.md whose output is shown
    doc_examples_test.py cuda    those of them that need NVRTC and nvdisasm; 77 (SKIP) without

GRKAN_SOURCE and GRKAN_BUILD are the folders of the source and of the build tree."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["GRKAN_SOURCE"])
BUILD = pathlib.Path(os.environ["GRKAN_BUILD"])
README = (SOURCE / "README.md").read_text()
PAGES = README + "\n" + (SOURCE / "docs/virtual-gpu.md").read_text()
HEADER = (SOURCE / "runtime/include/grkan.h").read_text()
NEEDS_COMPILER = ("grkan compile", "cuda_layer")

# What the examples leave to the reader: tensors, and a look at every status and result.
PROGRAM = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "grkan.h"
enum { rows = 4096, count = rows * 768 };
static float x[count], y[count], dy[count], dx[count], a[48], b[32], da[48], db[32];
static void check(grkan_status status, int line) {
  if (status == GRKAN_OK) return;
  printf("line %d of the example: %s: %s\\n", line, grkan_status_name(status), grkan_last_error());
  exit(1);
}
static void expect(const char* name, double got, double expected) {
  if (fabs(got - expected) <= 1e-5 * fabs(expected)) return;
  printf("%s is %.9g, expected %.9g\\n", name, got, expected);
  exit(1);
}
#define CHECKED(call) check((call), __LINE__)
MACROS
int main(void) {
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    x[i] = (float)(i % 7) - 3, dy[i] = 1;
    if (i % 768 < 96) sum += x[i] * x[i] / (1 + fabs((double)x[i]));
  }
  for (int g = 0; g < 8; ++g) a[6 * g + 1] = 1, b[4 * g] = 1; /* y = x / (1 + |x|) */
#line 1
EXAMPLE
  expect("y", y[count - 1], x[count - 1] / (1 + fabs((double)x[count - 1])));
  expect("dx", dx[count - 1], 1 / pow(1 + fabs((double)x[count - 1]), 2));
  expect("da[0][2]", da[2], sum);
  return 0;
}
"""


def fail(text):
    print(text)
    sys.exit(1)


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def run(command, folder, cache):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "GRKAN_CACHE_DIR": cache})
    if done.returncode != 0:
        fail(f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def example_of_header():
    """The indented lines of the head's comment, without its asterisks."""
    head = HEADER[HEADER.index("A minimal use"):HEADER.index("Conventions")]
    return "\n".join(line[6:] for line in head.splitlines() if line.startswith(" *     "))


def example_of_readme():
    return re.search(r"```c\n(.*?)```", README, re.DOTALL)[1]


def run_c(name, example, folder):
    functions = sorted(set(re.findall(r"^\s*(grkan_\w+)\(", example, re.MULTILINE)))
    for needed in ("grkan_forward", "grkan_backward"):
        if needed not in functions:
            fail(f"{name} shows no call of {needed}")
    macros = "".join(f"#define {f}(...) CHECKED({f}(__VA_ARGS__))\n" for f in functions)
    program = pathlib.Path(folder) / "example.c"
    program.write_text(PROGRAM.replace("MACROS", macros).replace("EXAMPLE", example))
    lib = BUILD / "lib"
    run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Werror", *os.environ.get("CFLAGS", "").split(),
         f"-I{SOURCE}/runtime/include", program, f"-L{lib}", f"-Wl,-rpath,{lib}", "-lgrkan", "-lm",
         "-o", program.with_suffix("")], folder, folder)
    run([program.with_suffix("")], folder, folder)
    print(f"{name}: runs as it stands")


def shown_commands():
    """Command and output of the blocks that are one command and what it printed."""
    for block in re.findall(r"(?:^    .*\n)+", PAGES, re.MULTILINE):
        lines = [line[4:].rstrip() for line in block.splitlines()]
        if lines[0].startswith("$ ") and len(lines) > 1 and "$ " not in lines[1] and not lines[0].endswith("\\"):
            yield lines[0][2:], lines[1:]


def run_shown(compiled, folder):
    found = 0
    for command, expected in shown_commands():
        if any(word in command for word in NEEDS_COMPILER) != compiled:
            continue
        words = [str(BUILD / word[6:]) if word.startswith("build/") else word for word in command.split()]
        got = [line.rstrip() for line in run(words, SOURCE, folder).splitlines()]
        if got != expected:
            fail("\n".join([f"shown of {command}:", *expected, "it says:", *got]))
        print(f"{command}: as it is shown")
        found += 1
    if found == 0:
        fail("no such command is shown")


def skip_without_compilers(folder):
    """Figures are those of the compilers that scripts/test installs; others count other registers."""
    wheels = dict(re.findall(r"=nvidia-cuda-(\w+)==(\d+\.\d+)", (SOURCE / "scripts/common.sh").read_text()))
    devices = json.loads(run([BUILD / "bin/grkan", "devices", "--json"], SOURCE, folder))
    nvrtc = next(one for one in devices["compilers"] if one["targets"] == "cuda")["compiler"] or "no NVRTC"
    if not nvrtc.startswith(f"nvrtc {wheels['nvrtc']}"):
        skip(f"the figures are of NVRTC {wheels['nvrtc']}, here is {nvrtc}")
    tiny = [BUILD / "bin/grkan", "compile", "p1q1-A-c4-g1-f32-last", "--direction", "forward", "--arch", "sm_90", "--json"]
    if json.loads(run(tiny, SOURCE, folder))["results"][0]["instructions_per_element"]["sass"] is None:
        skip("no nvdisasm on this machine")


def main():
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1] == "c":
            run_c("grkan.h", example_of_header(), folder)
            run_c("README.md", example_of_readme(), folder)
        elif sys.argv[1] == "shell":
            run_shown(False, folder)
        else:
            skip_without_compilers(folder)
            run_shown(True, folder)


main()
