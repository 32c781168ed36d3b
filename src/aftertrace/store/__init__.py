"""The store: runs on disk, content-addressed, atomic, resumable. It knows no method.

folder = RunFolder.open(Path("runs/adult"), identity={"seed": 0})
if not folder.has_unit(address):
    folder.write_unit(address, table, facts)
table, facts = folder.read_unit(address)
"""

from aftertrace.store._atomic import make_folder, remove_file, write_atomically
from aftertrace.store._folder import FORMAT, RunFolder
from aftertrace.store._kind import Kind

__all__ = ["FORMAT", "Kind", "RunFolder", "make_folder", "remove_file", "write_atomically"]
