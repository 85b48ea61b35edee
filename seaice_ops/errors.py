"""Everything that can go wrong, by what the operator or the scheduler should do about it."""


class SeaIceError(Exception):
    """Root of all errors raised on purpose; the message says what, where and what to do."""


class ConfigError(SeaIceError, ValueError):
    """A setting, a file in config/ or a request is wrong; a person must change it."""


class ExpectedSkip(SeaIceError):
    """Nothing is wrong and there is nothing to do (low sun, no data): green, with this reason."""


class TransientError(SeaIceError, OSError):
    """The outside world failed for now (network, lock, full queue): try again later."""


class QuotaExceeded(TransientError):
    """The archive asks us to wait."""


class CorruptProduct(SeaIceError, ValueError):
    """A product cannot be used (truncated, wrong checksum, not XML): set aside with its reason."""


class ObjectMissing(SeaIceError, KeyError):
    """An object that the ledger or a caller names is not in the store."""

    __str__ = Exception.__str__  # KeyError would show the message's repr


class PublishConflict(SeaIceError):
    """Another writer published different content under the same name first."""


class TrainingFailed(SeaIceError, RuntimeError):
    """A training rank ended with an error; the message holds its last words."""
