"""A compact table of ids: millions of them in a few megabytes."""

from __future__ import annotations

import hashlib
from array import array

_FIRST_SIZE = 1024
_FULLEST = 0.7


class IdTable:
    """Ids, each with its first number.

    A hash table in two flat arrays with 12 bytes per slot: a million ids take 25 MB, in a dict of strings 150 MB. Ids
    are stored as 64-bit digests; two of a million ids have the same one with a probability of 3e-8.
    """

    def __init__(self) -> None:
        self._keys = array("Q", bytes(8 * _FIRST_SIZE))
        self._numbers = array("I", bytes(4 * _FIRST_SIZE))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id_: str) -> bool:
        key = _key(id_)
        return self._keys[self._slot(key)] == key

    def setdefault(self, id_: str, number: int) -> int:
        """The first number of the id; `number`, from 0 to 2^32 - 1, if the id is new."""
        key = _key(id_)
        slot = self._slot(key)
        if self._keys[slot] == key:
            return self._numbers[slot]
        self._keys[slot] = key
        self._numbers[slot] = number
        self._count += 1
        if self._count > _FULLEST * len(self._keys):
            self._grow()
        return number

    def _slot(self, key: int) -> int:
        """Where a key is, or where it belongs (linear probing; 0 marks a free slot)."""
        keys = self._keys
        mask = len(keys) - 1
        slot = key & mask
        while (found := keys[slot]) and found != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._keys = array("Q", bytes(16 * len(keys)))
        self._numbers = array("I", bytes(8 * len(keys)))
        for key, number in zip(keys, numbers, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot] = key
                self._numbers[slot] = number


def _key(id_: str) -> int:
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big") or 1
