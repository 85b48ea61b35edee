"""Everything that can go wrong, by what the operator or the scheduler should do about it."""

from __future__ import annotations

import errno
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path


def plain(text: str) -> str:
    """`text`, which others wrote (names, files, answers), as one line of printable characters.

    Line breaks become spaces. Other characters that a terminal or a database would obey or refuse become escapes, such
    as ``\\x1b``.
    """
    line = re.sub(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


class SeaIceError(Exception):
    """Root of all errors raised on purpose; the message says what, where and what to do."""


class ConfigError(SeaIceError, ValueError):
    """A setting, a file in config/ or a request is wrong; a person must change it."""


class UnknownSensor(ConfigError):
    """A scene has bands of no known sensor: the configuration lacks the module of its sensor."""


class ExpectedSkip(SeaIceError):
    """Nothing is wrong and there is nothing to do (low sun, no data): green, with this reason."""


class TransientError(SeaIceError, OSError):
    """The outside world failed for now (network, lock, full queue): try again later."""


class QuotaExceeded(TransientError):
    """What the archive allows us is used up; `again` is when there is room, where that is known."""

    def __init__(self, *words: object, again: datetime | None = None) -> None:
        super().__init__(*words)
        self.again = again


class ArchiveUnavailable(TransientError):
    """The archive does not answer (no connection, time-out, 5xx), or did not lately and is left alone until `again`."""

    def __init__(self, *words: object, again: datetime | None = None) -> None:
        super().__init__(*words)
        self.again = again


class CorruptProduct(SeaIceError, ValueError):
    """A product cannot be used (truncated, wrong checksum, not XML): set aside with its reason.

    Its message quotes what others wrote, so that it is shown as `plain` text.
    """

    def __str__(self) -> str:
        return plain(super().__str__())


class BadTransfer(CorruptProduct):
    """A service sent other bytes than were published, or has no such file: perhaps not the next time."""


class CorruptPart(CorruptProduct):
    """One of the products that make a merged scene cannot be used: `part` is its id."""

    def __init__(self, *words: object, part: str = "") -> None:
        super().__init__(*words)
        self.part = part  # kept when pickled: an exception's attributes are


class ObjectMissing(SeaIceError, KeyError):
    """An object that the ledger or a caller names is not in the store."""

    __str__ = Exception.__str__  # KeyError would show the message's repr


class ObjectDamaged(ObjectMissing):
    """An object in the store is not what was written: as useless as a missing one, and made again like one."""


class PublishConflict(SeaIceError):
    """Another writer published different content under the same name first."""


class DecidedMeanwhile(SeaIceError):
    """Somebody else has decided, or what was to be decided has changed since it was looked at."""


class TrainingFailed(SeaIceError, RuntimeError):
    """A training rank ended with an error; the message holds its last words."""


class Unexplained(SeaIceError):
    """The daily account found what nothing in the ledger explains; a person must look."""


#: What the operating system answers where waiting does not help.
_PERMANENT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}
_ABSENT = {errno.ENOENT, errno.ELOOP}


def unreadable(path: Path, error: OSError) -> SeaIceError:
    """The error for a system's refusal to read `path`: a fault of the file, or of the machine for now."""
    words = f"{path} cannot be read: {error.strerror}"
    return CorruptProduct(words) if error.errno in _PERMANENT | _ABSENT else TransientError(words)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write below `folder` into an error that says what to do.

    Raises `ConfigError` where a person must act (no permission, a file in the way), else `TransientError` (disk full).
    """
    try:
        yield
    except SeaIceError:
        raise
    except OSError as error:
        where = f"{error.filename or folder}: {error.strerror or error}"
        if error.errno in _PERMANENT:
            raise ConfigError(f"cannot write {where}; make it writable, or set SEAICE_HOME") from error
        raise TransientError(f"cannot write {where}") from error


#: What the operating system answers where memory, descriptors, threads or room are short, or a disk fails.
_SHORT = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN}
_SHORT_WORDS = ("out of memory", "can't start new thread", *(os.strerror(code).lower() for code in _SHORT))

#: Libraries in C that lack memory or descriptors only say that they failed. So much of both must be free to believe it.
_SPARE_BYTES = 256 << 20
_SPARE_DESCRIPTORS = 16


@contextmanager
def sparing_data(work: str) -> Iterator[None]:
    """Turn an error inside into `TransientError` where the machine is at fault, so that no data are blamed for it.

    `work` says what was being done. Anything else goes through as it is.
    """
    try:
        yield
    except (TransientError, ConfigError):
        raise
    except Exception as error:
        if lack := _lack(error) or lack_now():
            words = f"{lack}: this machine is at fault, not the data; {work} waits for a later run"
            raise TransientError(words) from error
        raise


def _lack(error: BaseException | None) -> str | None:
    """The machine's lack that an error, or one of its causes, names; None where none does."""
    while error is not None:
        text = str(error)
        if isinstance(error, MemoryError):
            return text or "out of memory"
        short = isinstance(error, OSError) and error.errno in _SHORT
        if short or any(words in text.lower() for words in _SHORT_WORDS):
            return text
        error = error.__cause__ or error.__context__
    return None


def lack_now() -> str | None:
    """The words of the operating system for what the machine lacks now: memory or descriptors; None if nothing."""
    held: list[int] = []
    try:
        mmap.mmap(-1, _SPARE_BYTES).close()
        for _ in range(_SPARE_DESCRIPTORS):
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.strerror
    finally:
        for descriptor in held:
            with suppress(OSError):
                os.close(descriptor)
    return None
