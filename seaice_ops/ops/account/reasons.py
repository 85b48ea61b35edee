"""The closed list of reasons for which an acquisition is not a published map."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One reason; its value is what reports show. Only `UNEXPLAINED` is an alarm."""

    NOT_YET = "not yet published"
    OUTAGE = "put off: outage"
    QUOTA = "put off: quota"
    FILE = "failed: file"
    DATA = "failed: data"
    LOW_SUN = "low sun"
    NO_SEA = "no overlap with the sea"
    LABELS = "waiting for labels"
    MODEL = "waiting for model"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    UNEXPLAINED = "unexplained"

    @property
    def meaning(self) -> str:
        """One sentence for operators."""
        return _MEANING[self]


_MEANING = {
    Reason.NOT_YET: "work on it is under way or due, and within the time that it may take; nothing is to be done",
    Reason.OUTAGE: "the archive does not answer; a later run fetches it by itself",
    Reason.QUOTA: "the archive's quota is used up; a later run fetches it by itself",
    Reason.FILE: "its files cannot be had, or are not what the archive published",
    Reason.DATA: "its files arrived as published and cannot be decoded, labelled or mapped",
    Reason.LOW_SUN: "it was taken at night",
    Reason.NO_SEA: "none of its pixels was observed",
    Reason.LABELS: "it, or an acquisition of its window, has no labels yet; seaice_autolabel makes them",
    Reason.MODEL: "the champion has not encoded it yet, or cannot see it",
    Reason.WITHDRAWN: "the archive does not offer it any more",
    Reason.SUPERSEDED: "a map of it is published; the archive offers a better version, which is on its way",
    Reason.UNEXPLAINED: "nothing in the ledger says why; a person must look",
}
