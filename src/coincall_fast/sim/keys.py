"""Who may come in: API keys, whose they are and what they may do."""

from typing import NamedTuple

__all__ = ["MAKER", "READ", "TRADE", "Key", "Keyring"]

READ = "read"  # what every key may
TRADE = "trade"
MAKER = "maker"  # the batch verbs, market maker protection, the countdown


class Key(NamedTuple):
    """One key pair. Its repr shows neither half."""

    api_key: str
    api_secret: str
    user_id: int
    permissions: frozenset[str]

    def __repr__(self) -> str:
        return f"<Key of user {self.user_id}: {', '.join(sorted(self.permissions))}>"


class Keyring:
    """All keys of the exchange."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def add(self, key: Key) -> None:
        if key.api_key in self._keys:
            raise ValueError("this API key is already known")
        self._keys[key.api_key] = key

    def find(self, api_key: str) -> Key | None:
        return self._keys.get(api_key)
