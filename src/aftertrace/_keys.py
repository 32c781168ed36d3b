"""The key of a report's pseudonyms, in the run's folder, readable by its owner only."""

import secrets
from pathlib import Path

from aftertrace.errors import StoreError
from aftertrace.store import RunFolder

KEY_FILE = "pseudonyms.key"


def key_in(folder: Path) -> bytes | None:
    """The key that a folder holds, if it holds one. Raises `StoreError` where it is damaged."""
    path = folder / KEY_FILE
    try:
        return bytes.fromhex(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise StoreError(
            f"{path}: must hold the key of the pseudonyms in hexadecimal digits ({error}). Restore it, or remove it to "
            f"have a new key, which changes all pseudonyms."
        ) from error


def keep_key(folder: RunFolder, key: bytes) -> None:
    """Write the key into the folder."""
    folder.write(KEY_FILE, key.hex(), private=True)


def key_of(folder: RunFolder) -> bytes:
    """The folder's key, made when first needed."""
    key = key_in(folder.path)
    if key is None:
        key = secrets.token_bytes(32)
        keep_key(folder, key)
    return key
