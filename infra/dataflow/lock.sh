#!/bin/sh
# Writes the locks of the image anew, out of pyproject.toml; needs uv.
#
#     infra/dataflow/lock.sh
#
# build.lock is what sdists among the requirements are built with: without a lock of
# its own pip would fetch the newest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

lock() {
  output=$1
  shift
  uv pip compile --quiet --generate-hashes --no-header --no-annotate --upgrade \
    --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
    --output-file "$here/$output" "$@"
}

lock requirements.lock --extra gcp "$here/../../pyproject.toml"
echo "setuptools>=77
wheel" | lock build.lock -
