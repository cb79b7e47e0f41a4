#!/usr/bin/env bash
# Installs, by name, what a node with Kubernetes and Tekton needs, and puts it on PATH: . tests/cluster/install.sh [GROUP…]
#
# Groups: `api` (what the tests against an API server alone need), `cluster` (Debian packages, Kubernetes, Tekton Pipelines, tkn),
# `chains` (Tekton Chains, for the measurement beside it), `chains_formats` (its formatters alone, for the comparison of statements).
# Kubernetes and Tekton are Go modules; each is built in a module here that repeats its requires and replaces, so
# with exactly the versions and checksums that its authors pinned. Built programs are kept as those of tests/peers are.

. "$(dirname "${BASH_SOURCE[0]}")/../peers/install.sh" peers

KUBERNETES_VERSION=v1.34.1
KUBERNETES_LIBRARIES=v0.34.1
PIPELINES_VERSION=v1.15.0
TKN_VERSION=v0.44.0
CHAINS_VERSION=v0.26.2

CLUSTER_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PIPELINES=$STEPSEAL_CACHE/bin-pipelines-$PIPELINES_VERSION
CHAINS=$STEPSEAL_CACHE/bin-chains-$CHAINS_VERSION

# Writes into FOLDER a module with the requires and replaces of MODULE; what else SED says is changed.
shadow() { # FOLDER MODULE VERSION [SED…]
  local from folder=$1 module=$2 version=$3
  shift 3
  mkdir -p "$folder"
  from=$(module_folder "$module@$version")
  sed -e 's#^module .*#module stepseal.example/shadow#' "$@" "$from/go.mod" >"$folder/go.mod"
  cp "$from/go.sum" "$folder/go.sum"
  chmod u+w "$folder"/go.*
  go mod edit -C "$folder" -require="$module@$version"
}

go_programs() { # FOLDER-OF-THE-MODULE LDFLAGS INTO PACKAGE…
  local folder=$1 ldflags=$2 into=$3
  shift 3
  mkdir -p "$into"
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -C "$folder" -mod=mod -ldflags "-s -w $ldflags" -o "$into/" "$@"
}

# Runs BUILD with a scratch folder that goes away again.
in_scratch() { # BUILD INTO
  local scratch rc=0
  scratch=$(mktemp -d)
  "$1" "$scratch" "$2" || rc=$?
  rm -rf "$scratch"
  return $rc
}

build_kubernetes() { # SCRATCH INTO
  local version=k8s.io/component-base/version
  shadow "$1" k8s.io/kubernetes "$KUBERNETES_VERSION" \
    -e "s#=> ./staging/src/\(k8s.io/[^ ]*\)#=> \1 $KUBERNETES_LIBRARIES#"
  go_programs "$1" "-X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=34" "$2" \
    k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kubectl,kube-proxy}
}

# The programs lie in a folder of their own, as their names (`controller`, `events`) don't belong on PATH.
build_pipelines() { # SCRATCH INTO
  local module=github.com/tektoncd/pipeline
  shadow "$1" $module "$PIPELINES_VERSION"
  go_programs "$1" '' "$2/pipelines" \
    $module/cmd/{controller,webhook,entrypoint,nop,workingdirinit,events,resolvers,sidecarlogresults}
  cp -r "$(module_folder "$module@$PIPELINES_VERSION")/config" "$2/config"
  chmod -R u+w "$2/config"
}

build_tkn() { # SCRATCH INTO
  local module=github.com/tektoncd/cli
  shadow "$1" $module "$TKN_VERSION"
  # tkn replaces the hub's module by a fork that can't be had by name; a stub leaves "tkn hub" out.
  go mod edit -C "$1" -replace="github.com/tektoncd/hub=$CLUSTER_SOURCE/go/hub-stub"
  go_programs "$1" "-X $module/pkg/cmd/version.clientVersion=$TKN_VERSION" "$2" $module/cmd/tkn
}

# The checksum database doesn't know every version of Chains; the go.sum of tkn has the checksum of this version.
chains_module() { # SCRATCH; the module is $SCRATCH/build, and Chains' source $chains_source
  local module=github.com/tektoncd/chains cli fetch=$1/fetch
  cli=$(module_folder "github.com/tektoncd/cli@$TKN_VERSION")
  mkdir -p "$fetch" "$1/build"
  printf 'module stepseal.example/fetch\n\ngo 1.25\n\nrequire %s %s\n' $module "$CHAINS_VERSION" >"$fetch/go.mod"
  grep -h "^$module $CHAINS_VERSION" "$cli/go.sum" >"$fetch/go.sum"
  chains_source=$(cd "$fetch" && go mod download "$module@$CHAINS_VERSION" && module_folder "$module@$CHAINS_VERSION")
  sed -e 's#^module .*#module stepseal.example/shadow#' "$chains_source/go.mod" >"$1/build/go.mod"
  cat "$chains_source/go.sum" "$fetch/go.sum" >"$1/build/go.sum"
  go mod edit -C "$1/build" -require="$module@$CHAINS_VERSION"
}

build_chains() { # SCRATCH INTO
  local chains_source
  chains_module "$1"
  go_programs "$1/build" '' "$2/chains" github.com/tektoncd/chains/cmd/controller
  cp -r "$chains_source/config" "$2/config"
  chmod -R u+w "$2/config"
}

# Chains' formatters, on the types of the newer Chains that Stepseal follows.
build_chains_formats() { # SCRATCH INTO
  local chains_source types=$CLUSTER_SOURCE/../peers/go-types/go.mod
  chains_module "$1"
  mkdir "$1/build/formats"
  cp "$CLUSTER_SOURCE"/../peers/chains-formats/*.go "$1/build/formats/"
  # client-go goes with the API's types.
  sed -n -e 's#^\tk8s.io/api \(v[^ ]*\)$#-require=k8s.io/client-go@\1#p' -e 's#^\t\(github.com/tektoncd/pipeline\|k8s.io/api\|k8s.io/apimachinery\|knative.dev/pkg\) \(v[^ ]*\)$#-require=\1@\2#p' \
    "$types" |
    xargs go mod edit -C "$1/build"
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -C "$1/build" -mod=mod -ldflags '-s -w' -o "$2/chains-formats" ./formats
}

# An API server with Tekton's kinds, without any node.
install_api() {
  need_debian etcd-server openssl jq
  need_built kube-apiserver "$KUBERNETES_VERSION" in_scratch build_kubernetes
  need_built pipelines "$PIPELINES_VERSION" in_scratch build_pipelines
  need_built tkn "$TKN_VERSION" in_scratch build_tkn
}

install_cluster() {
  need_debian containerd etcd-server etcd-client containernetworking-plugins busybox-static tini nftables iptables iproute2 \
    conntrack docker-registry apache2-utils runc openssl curl jq buildah skopeo procps
  local source=$CLUSTER_SOURCE/go
  need_built mkimg "$(cat "$source"/mkimg/* | sha256sum | cut -c1-12)" go_build "$source/mkimg" mkimg
  need_built pause "$(cat "$source"/pause/* | sha256sum | cut -c1-12)" go_build "$source/pause" pause
  need_built ask "$(cat "$source"/ask/* | sha256sum | cut -c1-12)" go_build "$source/ask" ask
  # It contains the registers of one architecture.
  if [[ $(uname -m) = x86_64 ]]; then
    need_built opens "$(cat "$source"/opens/* | sha256sum | cut -c1-12)" go_build "$source/opens" opens
  fi
  need_built kube-apiserver "$KUBERNETES_VERSION" in_scratch build_kubernetes
  need_built pipelines "$PIPELINES_VERSION" in_scratch build_pipelines
  need_built tkn "$TKN_VERSION" in_scratch build_tkn
}

install_chains() { need_built chains "$CHAINS_VERSION" in_scratch build_chains; }

install_chains_formats() {
  install_go_types
  local sources
  sources=$(cat "$CLUSTER_SOURCE"/../peers/chains-formats/*.go "$CLUSTER_SOURCE/../peers/go-types/go.mod" | sha256sum | cut -c1-12)
  need_built chains-formats "$CHAINS_VERSION-$sources" in_scratch build_chains_formats
}

for group in "${@:-cluster}"; do "install_$group"; done
export PATH PIPELINES CHAINS
