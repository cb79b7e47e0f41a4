#!/usr/bin/env bash
# Installs, by name, what the tests against the real peers need, and puts it on PATH.
#
#   tests/peers/install.sh [GROUP…]      installs; prints the line that puts it on PATH
#   . tests/peers/install.sh GROUP…      the same, for the shell that sources it
#
# Groups: `peers` (Debian packages, cosign, crane, a transparency log, a timestamp authority,
# the Sigstore Go verifier, skopeo's policy, a registry with the referrers API), `registries` (distribution 3, Gitea and Pulp,
# only for the tests against them), `go_types` (Tekton's Go types),
# `fuzz` (cargo-fuzz), `deny` (cargo-deny), `lint` (typos, shellcheck, actionlint, jq), `sbom` (cargo-cyclonedx, CycloneDX's JSON schemas).
# What has to be built is kept in $STEPSEAL_CACHE (default: the user's cache folder), a folder a
# version, outside the checkout; a program gets its final name only when it is whole.

set -euo pipefail

COSIGN_VERSION=v3.1.2
CRANE_VERSION=v0.22.1
REKOR_VERSION=v2.2.1
TIMESTAMP_VERSION=v2.1.2
DISTRIBUTION_VERSION=v3.1.2
GITEA_VERSION=v1.24.0
PULP_CONTAINER_VERSION=2.30.0
PULPCORE_VERSION=3.123.1
ACTIONLINT_VERSION=v1.7.12
TYPOS_VERSION=1.52.0
CARGO_FUZZ_VERSION=0.13.2
CARGO_DENY_VERSION=0.20.2
CARGO_CYCLONEDX_VERSION=0.5.9
CYCLONEDX_SCHEMAS_VERSION=11.12.0

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/cache.sh"

as_root() { if [[ $(id -u) = 0 ]]; then "$@"; else sudo "$@"; fi; }

# Only files are wanted of a package: a policy file keeps it from starting its daemon, and goes away again.
without_daemons() {
  local policy=/usr/sbin/policy-rc.d made='' rc=0
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made=1
  fi
  "$@" || rc=$?
  [[ -z $made ]] || as_root rm -f "$policy"
  return $rc
}

need_debian() { # PACKAGE…
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  echo "install: Debian packages ${missing[*]}" >&2
  as_root apt-get update -qq >&2
  without_daemons as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Builds into a folder beside the final one and renames it: a build that was cut off leaves nothing that
# looks finished, and of two at once one wins.
need_built() { # NAME VERSION COMMAND…, with the folder to fill in $into
  local name=$1 version=$2 into have
  shift 2
  have=$STEPSEAL_CACHE/bin-$name-$version
  if [[ ! -x $have/$name ]]; then
    echo "install: building $name $version" >&2
    mkdir -p "$STEPSEAL_CACHE"
    into=$(mktemp -d "$STEPSEAL_CACHE/.$name.XXXXXX")
    "$@" "$into" >&2
    [[ -x $into/$name ]] || { echo "install: $name $version was built, but is not in its folder" >&2; return 1; }
    mv -T "$into" "$have" 2>/dev/null || rm -rf "$into"
    [[ -x $have/$name ]]
  fi
  PATH=$have:$PATH
}

go_install() { # PACKAGE@VERSION FOLDER
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN=$2 go install -ldflags '-s -w' "$1"
}

go_build() { # SOURCE-FOLDER NAME FOLDER
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -C "$1" -tags "${GO_TAGS:-}" -ldflags '-s -w' -o "$3/$2" .
}

module_folder() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'; }

# Gitea's module replaces others, so that it can only be built in its own folder. It reads templates and texts from files beside it.
build_gitea() { # FOLDER
  local module
  module=$(module_folder "code.gitea.io/gitea@$GITEA_VERSION")
  CGO_ENABLED=1 GOFLAGS=-buildvcs=false go build -C "$module" -tags 'sqlite sqlite_unlock_notify' -ldflags '-s -w' -o "$1/gitea" .
  cp -r "$module"/{options,public,templates} "$1/"
  chmod -R u+w "$1"
}

# Pulp's container plugin, with a database in which its tables are already made: that takes it 20 seconds.
build_pulp() { # FOLDER
  local home postgres
  /usr/bin/python3 -m pip install --quiet --target "$1/lib" \
    "pulp-container==$PULP_CONTAINER_VERSION" "pulpcore==$PULPCORE_VERSION"
  # It is started many times, and a test must not write to it.
  /usr/bin/python3 -m compileall -q "$1/lib" || true
  cp "$HERE"/pulp/* "$1/"
  home=$(mktemp -d)
  chmod 755 "$home"
  mkdir -p "$home/keys" "$home"/state/{media,tmp,assets}
  openssl rand -base64 32 >"$home/keys/database"
  openssl ecparam -genkey -name prime256v1 -noout -out "$home/keys/private.pem"
  openssl ec -in "$home/keys/private.pem" -pubout -out "$home/keys/public.pem" 2>/dev/null
  install -d -o postgres -g postgres -m 700 "$home/database"
  as_postgres initdb -D "$home/database" -U pulp --auth=trust --no-sync -E UTF8 --locale=C >/dev/null
  PULP_FOLDER=$home "$1/pulp" postgres >/dev/null 2>&1 &
  postgres=$!
  until as_postgres createdb -h "$home/database" -U pulp pulp 2>/dev/null; do kill -0 "$postgres"; sleep 0.1; done
  PULP_FOLDER=$home "$1/pulp" manager migrate --noinput >/dev/null
  kill -INT "$postgres"
  wait "$postgres"
  cp -a "$home" "$1/template"
  rm -rf "$home"
}

as_postgres() { # PROGRAM ARGUMENT…
  local bin
  bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
  (cd / && setpriv --reuid postgres --regid postgres --clear-groups "$bin/$1" "${@:2}")
}

# With the bundles of the public-good Sigstore that its module has for its own tests.
build_sigstore_go() { # SOURCE-FOLDER FOLDER
  local module
  go_build "$1" sigstore-go "$2"
  module=$(go list -C "$1" -m -f '{{.Dir}}' github.com/sigstore/sigstore-go)
  mkdir "$2/bundles"
  cp "$module"/examples/bundle-*.json "$module"/examples/publish_key.pub \
    "$module"/pkg/testing/data/bundles/*.json "$2/bundles/"
  chmod -R u+w "$2/bundles"
}

cargo_install() { # CRATE VERSION FLAGS FOLDER [PROGRAM, if it has another name]
  # A target folder of its own, so that a build of the project at the same time is not waited for.
  local flags
  read -ra flags <<<"$3"
  CARGO_TARGET_DIR=$4/target cargo install --locked --quiet "$1" --version "$2" "${flags[@]}" --root "$4/root"
  mv "$4/root/bin/${5:-$1}" "$4/${5:-$1}"
  rm -rf "$4/root" "$4/target"
}

# CycloneDX's own library for Python brings the schemas.
build_cyclonedx_validate() { # FOLDER
  /usr/bin/python3 -m pip install --quiet --target "$1/lib" \
    "cyclonedx-python-lib[json-validation]==$CYCLONEDX_SCHEMAS_VERSION"
  cp "$HERE/cyclonedx-validate" "$1/"
}

install_peers() {
  need_debian ca-certificates docker-registry apache2-utils skopeo buildah podman runc openssl jq curl time
  need_built cosign "$COSIGN_VERSION" go_install "github.com/sigstore/cosign/v3/cmd/cosign@$COSIGN_VERSION"
  need_built crane "$CRANE_VERSION" go_install "github.com/google/go-containerregistry/cmd/crane@$CRANE_VERSION"
  # Rekor 2 calls the program of its that keeps its log in files `posix`.
  need_built posix "$REKOR_VERSION" go_install "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@$REKOR_VERSION"
  need_built timestamp-server "$TIMESTAMP_VERSION" \
    go_install "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@$TIMESTAMP_VERSION"
  local source=$HERE/referrers-registry
  need_built referrers-registry "$(cat "$source"/* | sha256sum | cut -c1-12)" go_build "$source" referrers-registry
  source=$HERE/image-policy
  # GnuPG's signatures need its C library, and aren't looked at.
  GO_TAGS=containers_image_openpgp need_built image-policy "$(cat "$source"/* | sha256sum | cut -c1-12)" \
    go_build "$source" image-policy
  source=$HERE/sigstore-go
  # Which bundles are beside it is said by its recipe, which is part of its version therefore.
  need_built sigstore-go "$({ cat "$source"/*; declare -f build_sigstore_go; } | sha256sum | cut -c1-12)" \
    build_sigstore_go "$source"
}

install_registries() {
  # Gitea starts git, and its SQLite is C.
  need_debian docker-registry apache2-utils git gcc libc6-dev
  need_built registry "$DISTRIBUTION_VERSION" \
    go_install "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION_VERSION"
  need_built gitea "$GITEA_VERSION" build_gitea
  # Pulp needs no Redis: that is only for its cache.
  need_debian python3-pip postgresql openssl
  need_built pulp "$PULP_CONTAINER_VERSION-$PULPCORE_VERSION-$(cat "$HERE"/pulp/* | sha256sum | cut -c1-12)" build_pulp
}

install_go_types() {
  local source=$HERE/go-types
  need_built go-types "$(cat "$source"/* | sha256sum | cut -c1-12)" go_build "$source" go-types
}

install_fuzz() {
  # libFuzzer is C++ and is built with the fuzz targets.
  need_debian g++
  need_built cargo-fuzz "$CARGO_FUZZ_VERSION" cargo_install cargo-fuzz "$CARGO_FUZZ_VERSION" ''
}

install_deny() {
  need_built cargo-deny "$CARGO_DENY_VERSION" cargo_install cargo-deny "$CARGO_DENY_VERSION" --no-default-features
}

# The crate has another name than its program.
install_typos() { cargo_install typos-cli "$TYPOS_VERSION" '' "$1" typos; }

install_lint() {
  need_debian shellcheck jq
  need_built typos "$TYPOS_VERSION" install_typos
  need_built actionlint "$ACTIONLINT_VERSION" go_install "github.com/rhysd/actionlint/cmd/actionlint@$ACTIONLINT_VERSION"
}

install_sbom() {
  need_debian jq python3-pip
  # What it does takes a second in either; a debug build takes half the time to make.
  need_built cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION" cargo_install cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION" \
    "--debug --config profile.dev.debug=0"
  need_built cyclonedx-validate "$CYCLONEDX_SCHEMAS_VERSION-$(sha256sum <"$HERE/cyclonedx-validate" | cut -c1-12)" \
    build_cyclonedx_validate
}

for group in "${@:-peers}"; do "install_$group"; done
export PATH

if [[ ${BASH_SOURCE[0]} = "$0" ]]; then echo "export PATH=$PATH"; fi
