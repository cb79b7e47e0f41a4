# Where the cluster of the tests lives, and the few helpers that all its parts share. Sourced by up and down.

# shellcheck disable=SC2034 # the scripts that source this file read them
NODE_IP=${NODE_IP:-10.77.0.1}
POD_CIDR=${POD_CIDR:-10.78.0.0/24}
SERVICE_CIDR=${SERVICE_CIDR:-10.79.0.0/24}
API_SERVICE_IP=${API_SERVICE_IP:-10.79.0.1}
REGISTRY=$NODE_IP:5000
NODE=node1

STATE=${STEPSEAL_CLUSTER_DIR:-$STEPSEAL_CACHE/cluster}
RUN=$STATE/run DATA=$STATE/data LOGS=$STATE/logs PKI=$STATE/pki
export KUBECONFIG=$STATE/kubeconfig

# Runs one part with its output in a log; shows the end of that log only if the part fails.
part() { # NAME COMMAND…
  local name=$1 from=$SECONDS rc=0
  shift
  (set -e; "$@") >"$LOGS/up-$name.log" 2>&1 &
  wait $! || rc=$?
  if [[ $rc != 0 ]]; then
    tail -n 30 "$LOGS/up-$name.log" >&2
    echo "cluster: $name failed (the whole log: $LOGS/up-$name.log)" >&2
    return $rc
  fi
  printf 'cluster: %-20s %3d s\n' "$name" $((SECONDS - from)) >&2
}

alive() { [[ -s $RUN/pids/$1 ]] && kill -0 "$(cat "$RUN/pids/$1")" 2>/dev/null; }

# Starts a program in the background unless it runs, with its process id in a file.
daemon() { # NAME COMMAND…
  local name=$1
  shift
  alive "$name" && return 0
  setsid -f bash -c 'echo $$ >"$0"; exec "$@"' "$RUN/pids/$name" "$@" </dev/null >>"$LOGS/$name.log" 2>&1
  sleep 0.2
}

# Writes standard input to a file, unless that is what it holds: kube-proxy ends when its file is written anew.
put() { # FILE
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

wait_for() { # SECONDS COMMAND…
  local seconds=$1 i
  shift
  for ((i = 0; i < seconds * 5; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  echo "gave up after $seconds s: $*"
  "$@"
}
