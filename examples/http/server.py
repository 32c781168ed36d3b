"""A scoring service with a model from before the deletions and one from after. `python server.py [PORT]`

It answers `POST /before` and `POST /after` with `{"rows": [{"mean radius": 17.99, ...}, ...]}` by
`{"result": {"scores": [[0.97, 0.03], ...]}}`, for those who know SCORING_TOKEN.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from make import DATA, DELETED, NAMES, RETAINED
from sklearn.ensemble import RandomForestClassifier


def forest(records: np.ndarray) -> RandomForestClassifier:
    """A model of these records."""
    return RandomForestClassifier(n_estimators=50, random_state=0).fit(DATA.data[records], DATA.target[records])


MODELS = {"/before": forest(np.concatenate([RETAINED, DELETED])), "/after": forest(RETAINED)}


class Scoring(BaseHTTPRequestHandler):
    """One request, one answer."""

    def do_POST(self) -> None:
        """Score the rows of a request."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {os.environ['SCORING_TOKEN']}":
            self.reply(401, {"error": "unknown token"})
        elif self.path not in MODELS:
            self.reply(404, {"error": "no such model"})
        else:
            rows = [[row[name] for name in NAMES] for row in json.loads(content)["rows"]]
            self.reply(200, {"result": {"scores": MODELS[self.path].predict_proba(rows).tolist()}})

    def reply(self, status: int, value: object) -> None:
        """Answer with JSON."""
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing of who is asked about."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    server = ThreadingHTTPServer(("127.0.0.1", port), Scoring)
    print(f"Models at http://127.0.0.1:{port}/before and /after. Stop with Ctrl-C.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
