"""A lock that a forked child has anew: another thread of its parent may have held it."""

from __future__ import annotations

import os
import threading


class Lock:
    """To be entered by `with`, by one thread at a time, which may enter it again."""

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
