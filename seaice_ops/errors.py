"""Everything that can go wrong, by what the operator or the scheduler should do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class SeaIceError(Exception):
    """Root of all errors raised on purpose; the message says what, where and what to do."""


class ConfigError(SeaIceError, ValueError):
    """A setting, a file in config/ or a request is wrong; a person must change it."""


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
    """A product cannot be used (truncated, wrong checksum, not XML): set aside with its reason."""


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


class TrainingFailed(SeaIceError, RuntimeError):
    """A training rank ended with an error; the message holds its last words."""


#: What the operating system answers where waiting does not help.
_PERMANENT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


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
