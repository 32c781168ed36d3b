"""The key of a report's pseudonyms, in the run's folder, readable by its owner only."""

import secrets
from pathlib import Path

from aftertrace.errors import StoreError
from aftertrace.store import RunFolder

KEY_FILE = "pseudonyms.key"
_BYTES = 32


def new_key() -> bytes:
    """A key that nobody has."""
    return secrets.token_bytes(_BYTES)


def key_in(folder: Path) -> bytes | None:
    """The key that a folder holds, if it holds one. Raises `StoreError` where it is damaged."""
    path = folder / KEY_FILE
    try:
        key = bytes.fromhex(path.read_text())
        if len(key) != _BYTES:
            raise ValueError(f"it holds {len(key)} bytes")
        return key
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise StoreError(
            f"{path}: must hold the key of the pseudonyms, {_BYTES} bytes in hexadecimal digits ({error}). Restore it, "
            f"or remove it to have a new key, which changes all pseudonyms."
        ) from error


def keep_key(folder: RunFolder, key: bytes) -> None:
    """Write the key into the folder."""
    folder.write(KEY_FILE, key.hex(), private=True)


def key_of(folder: RunFolder) -> bytes:
    """The folder's key, made when first needed."""
    key = key_in(folder.path)
    if key is None:
        key = new_key()
        keep_key(folder, key)
    return key
