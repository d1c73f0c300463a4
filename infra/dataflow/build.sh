#!/bin/sh
# Builds the image of a command and pushes it, with its SBOM and provenance.
#
#     infra/dataflow/build.sh COMMAND IMAGE
#
# COMMAND is ingest, stylize, visualize or optimize. The base images are those of
# base_images.lock; where there is none, it is written, for you to commit.
# NEVER RUN AGAINST A REGISTRY BY ITS AUTHORS.
set -eu

command=${1:-} image=${2:-}
case $command in
  ingest | stylize | visualize | optimize) ;;
  *) echo "usage: $0 ingest|stylize|visualize|optimize IMAGE" >&2; exit 2 ;;
esac
[ -n "$image" ] || { echo "usage: $0 COMMAND IMAGE" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
pins=$here/base_images.lock

# What the digests are looked up of, once.
pin() {
  digest=$(docker buildx imagetools inspect "$2" --format '{{.Manifest.Digest}}')
  case $digest in
    sha256:????????????????????????????????????????????????????????????????) ;;
    *) echo "$2: expected a digest, found '$digest'" >&2; exit 1 ;;
  esac
  echo "$1=$2@$digest"
}

if [ ! -f "$pins" ]; then
  {
    pin PYTHON_IMAGE python:3.11-slim-bookworm
    pin BEAM_IMAGE apache/beam_python3.11_sdk:2.77.0
    pin LAUNCHER_IMAGE gcr.io/dataflow-templates-base/python311-template-launcher-base:latest
  } > "$pins.new"
  mv "$pins.new" "$pins"
  echo "wrote $pins; commit it" >&2
fi

set --
while IFS= read -r line; do
  case $line in
    *=*@sha256:*) set -- "$@" --build-arg "$line" ;;
    *) echo "$pins: expected NAME=IMAGE@sha256:DIGEST, found '$line'" >&2; exit 1 ;;
  esac
done < "$pins"

docker buildx build --file "$here/Dockerfile" --platform linux/amd64 \
  "$@" --build-arg "COMMAND=$command" \
  --sbom=true --provenance=mode=max --tag "$image" --push "$here/../.."
