"""A run on disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftertrace._hashing import canonical
from aftertrace.errors import PosteriorsError, StoreError
from aftertrace.posteriors import Posteriors, from_parquet, to_parquet
from aftertrace.store._atomic import make_folder, remove_unfinished, unwritable, write_atomically
from aftertrace.store._kind import RUN, Kind, with_article

FORMAT = 1
"""Version of the run folder. 1: first."""


@dataclass(frozen=True)
class RunFolder:
    """A folder with `manifest.json` and `posteriors/`, one Parquet file per finished unit, named by its address.

    An address is the digest of everything that determines the unit; a file is used only if it says the same
    address inside and its checksums hold. All writes are atomic.
    """

    path: Path
    units: Path | None = None

    @classmethod
    def check_free(
        cls, path: Path, *, identity: Mapping[str, Any] | None = None, kind: Kind = RUN, force: bool = False
    ) -> None:
        """Raise `StoreError` where none of its `kind` can be kept: a file, or a folder with other files or another one.

        For who wants to know before the work, not after it: `identity` is what is known of the run until then. `force`
        takes any folder.
        """
        try:
            is_file = path.exists() and not path.is_dir()
        except OSError as error:  # such as a name that is too long
            raise unwritable(path, error) from error
        if is_file:
            raise StoreError(f"{path}: {kind.one} needs a folder, and this is a file. Choose another one (`out`).")
        holds_other = path.is_dir() and any(not item.name.startswith(".") for item in path.iterdir())
        if holds_other and not cls(path, None).manifest_path.exists() and not force:
            raise StoreError(
                f"{path}: this folder holds other files and no {kind.noun}. Choose another one (`out`), or take it "
                f"all the same: `force=True`."
            )
        if identity is not None and not force:
            cls(path)._check_same(identity, kind)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        identity: Mapping[str, Any],
        kind: Kind = RUN,
        force: bool = False,
        units: Path | None = None,
    ) -> "RunFolder":
        """The folder of a run, made if absent. `units`: where finished units are, if not in it: runs may share them.

        `identity`: nested settings that a run keeps for its life. Raises `StoreError` if the folder holds a run
        of another identity or `kind` (unless `force`: its units stay, its results are replaced), or other files.
        """
        folder = cls(path, units)
        cls.check_free(path, kind=kind, force=force)
        if not force:
            folder._check_same(identity, kind, whole=True)
        make_folder(path)
        make_folder(folder.units_path)
        for place in (path, folder.units_path):
            remove_unfinished(place)
        folder.write_json("manifest.json", {"format": FORMAT, "kind": kind.noun, "identity": canonical(identity)})
        return folder

    def _check_same(self, identity: Mapping[str, Any], kind: Kind, *, whole: bool = False) -> None:
        """Raise `StoreError` where the folder is of another kind, or differs in what `identity` says, the `whole` of it
        or a part.
        """
        if not self.manifest_path.exists():
            return
        manifest = self.read_manifest()
        noun, there, here = str(manifest.get("kind") or kind.noun), manifest["identity"], canonical(identity)
        found = f"{with_article(noun)}, and this is {kind.one}"
        if noun == kind.noun:
            different = kind.differences(
                there if whole else {name: there[name] for name in here if name in there}, here
            )
            if not different:
                return
            found = f"{kind.another} ({'; '.join(different[:4])}{'; ...' if len(different) > 4 else ''})"
        raise StoreError(
            f"{self.path}: this folder holds {found}. Choose another one (`out`), or replace it: `force=True`."
        )

    @property
    def manifest_path(self) -> Path:
        """Where `manifest.json` is."""
        return self.path / "manifest.json"

    @property
    def units_path(self) -> Path:
        """Where the finished units are."""
        return self.path / "posteriors" if self.units is None else self.units

    @property
    def models_path(self) -> Path:
        """Where models are, if they are kept."""
        return self.path / "models"

    def read_manifest(self) -> dict[str, Any]:
        """The manifest. Raises `StoreError` if it is absent, damaged or of another format."""
        content = self.read("manifest.json")
        try:
            manifest = json.loads(content)
            found = dict(manifest)["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.manifest_path}: damaged, it must be JSON with a format ({error}). Make the run again in this "
                f"folder, by force: finished units are kept."
            ) from error
        if found != FORMAT:
            raise StoreError(f"{self.manifest_path}: a run must have format {FORMAT}, got {found}.")
        if not isinstance(manifest.get("identity"), Mapping):
            raise StoreError(
                f"{self.manifest_path}: damaged, it must say what the run is of, in 'identity'. Make the run again "
                f"in this folder, by force: finished units are kept."
            )
        return dict(manifest)

    def read(self, name: str) -> bytes:
        """A file of the run. Raises `StoreError` if it is not there."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise StoreError(
                f"{self.path}: there is no readable {name} ({error.strerror}); run the experiment again to write it."
            ) from error

    def write(self, name: str, content: bytes | str, *, private: bool = False) -> Path:
        """Write a file of the run atomically."""
        data = content.encode() if isinstance(content, str) else content
        write_atomically(self.path / name, data, private=private)
        return self.path / name

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write a JSON file of the run atomically."""
        content = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return self.write(name, content + "\n")

    def write_unit(self, address: str, table: Posteriors, facts: Mapping[str, Any]) -> None:
        """Keep a finished unit."""
        write_atomically(self._unit(address), to_parquet(table, facts={**facts, "address": address}))

    def models_file(self, address: str) -> Path:
        """Where the models of a unit are, if they are kept."""
        return self.models_path / f"{address}.safetensors"

    def has_unit(self, address: str) -> bool:
        """Is there a file of that unit?"""
        return self._unit(address).is_file()

    def read_unit(self, address: str) -> tuple[Posteriors, dict[str, Any]]:
        """A finished unit. Raises `StoreError` if its file is damaged or holds another unit."""
        path = self._unit(address)
        try:
            table, facts = from_parquet(path.read_bytes())
        except (PosteriorsError, OSError) as error:
            raise StoreError(f"{path}: damaged ({error})") from error
        if facts.get("address") != address:
            raise StoreError(f"{path}: damaged (it holds the unit {facts.get('address')!r})")
        return table, facts

    def _unit(self, address: str) -> Path:
        return self.units_path / f"{address}.parquet"
