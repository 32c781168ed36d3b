"""The command line: parses, calls one public function, prints, returns a named exit code.

aftertrace run EXAMPLE_OR_FILE
aftertrace audit --before P1 --after P2
aftertrace report RUN
aftertrace list attacks
aftertrace data verify
"""

from aftertrace.cli._app import app, main
from aftertrace.cli._exit import ExitCode

__all__ = ["ExitCode", "app", "main"]
