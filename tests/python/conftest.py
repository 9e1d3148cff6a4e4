"""Every test of this folder has a kernel cache of its own, shared by the run."""

from __future__ import annotations

import os
import tempfile

if "GRKAN_CACHE_DIR" not in os.environ:
    _folder = tempfile.TemporaryDirectory(prefix="grkan-test-")
    os.environ["GRKAN_CACHE_DIR"] = _folder.name
