"""What can go wrong, as exceptions: one for each status of grkan.h that a user can act on."""

from __future__ import annotations


class GrkanError(Exception):
    """Base of all errors of this package.

    The text says what was expected, what came and what to do. ``status`` is the status of grkan.h
    as a word (``"invalid_argument"``), ``field`` the argument that was refused (``"x_stride"``),
    or ``""`` where it was not one alone.
    """

    status = "internal"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidArgument(GrkanError, ValueError):
    """The call is wrong."""

    status = "invalid_argument"


class Unsupported(GrkanError, NotImplementedError):
    """A right call that this build, device or compiler can't serve."""

    status = "unsupported"


class OutOfMemory(GrkanError, MemoryError):
    """There is not so much memory on the host or the device."""

    status = "out_of_memory"


class NoDevice(GrkanError):
    """No such device, or no driver for it."""

    status = "no_device"


class NoCompiler(GrkanError):
    """A kernel is not in the cache, and no compiler was found."""

    status = "no_compiler"


class CompileFailed(GrkanError):
    """A compiler refused a generated source."""

    status = "compile_failed"


class DeviceError(GrkanError):
    """A call of the driver failed."""

    status = "device_error"


class FileError(GrkanError):
    """A file asked for by name could not be read or written."""

    status = "io_error"


class WrongAnswer(GrkanError):
    """A kernel is past its error bound."""

    status = "wrong_answer"


class Disturbed(GrkanError):
    """A measurement was refused because the machine was busy."""

    status = "disturbed"


class InternalError(GrkanError):
    """A defect of the library: please report it."""


class LibraryMissing(GrkanError, ImportError):
    """libgrkan can't be opened. ``python -m grkan.collect_env`` tells what was found."""

    status = "no_library"


BY_STATUS: dict[int, type[GrkanError]] = {
    1: InvalidArgument,
    2: Unsupported,
    3: OutOfMemory,
    4: NoDevice,
    5: NoCompiler,
    6: CompileFailed,
    7: DeviceError,
    8: FileError,
    9: WrongAnswer,
    10: Disturbed,
    11: InternalError,
}
