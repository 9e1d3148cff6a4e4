#!/bin/sh
# run.sh FILE...: the tests of these files; 77, which CTest takes for skipped, where none could be run.
python=${GRKAN_TEST_PYTHON:-python3}
"$python" -c 'import pytest' 2>/dev/null || {
  echo "SKIP: $python has no pytest; scripts/test sets up one that has, or name one by GRKAN_TEST_PYTHON"
  exit 77
}
export PYTHONDONTWRITEBYTECODE=1
"$python" -m pytest -q -rs -p no:cacheprovider "$@"
status=$?
[ $status = 5 ] && { echo "SKIP: no test of $* could be run"; exit 77; }
exit $status
