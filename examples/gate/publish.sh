#!/usr/bin/env bash
# Publishes a model only if its audit passes. All arguments go to `aftertrace audit`, such as
#
#   ./publish.sh --before published.skops --after candidate.skops --deleted deleted.csv --unseen unseen.csv
#
# Keeps every audit in audits/, one folder per day and time, for `aftertrace compare audits/*`.
set -u
here=$(dirname "$0")
folder=audits/$(date -u +%Y-%m-%dT%H%M%S)
mkdir -p audits

status=0
aftertrace audit "$@" --limits "$here/limits.toml" --out "$folder" || status=$?
case $status in
  0) echo "Within all limits: publishing." ;;
  1) echo "Not published: a limit is exceeded. See $folder/report.html." ;;
  3) echo "Not published: the audit cannot tell. See $folder/report.html for what would." ;;
  4) echo "Not published: the audit is invalid. See $folder/report.html for why." ;;
  *) echo "Not published: there was no audit." ;;
esac
if [ $status -ne 0 ]; then exit $status; fi

# Put what publishes your model here.
