# The node: a registry with the images of Tekton and of the tests, containerd, kubelet and kube-proxy. Sourced by up.

# The reference by digest of an image that was pushed.
ref() { cat "$RUN/images/$1"; }

registry_up() {
  put "$RUN/registry.yml" <<Y
version: 0.1
log: {level: warn, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $DATA/registry}, delete: {enabled: true}}
http: {addr: "$REGISTRY"}
Y
  daemon registry docker-registry serve "$RUN/registry.yml"
  wait_for 20 curl -sf "http://$REGISTRY/v2/"
}
image() { # NAME MKIMG-ARGUMENTS...: pushed once; the reference by digest is kept in $RUN/images/NAME
  local name=$1 f=$RUN/images/$1 a fresh=1; shift
  for a in "$@"; do [[ $a == /*=/* && -f ${a%%=/*} && ${a%%=/*} -nt $f ]] && fresh=; done
  [[ -n $fresh && -s $f ]] && curl -sfI -H 'Accept: */*' "http://$REGISTRY/v2/$name/manifests/$(sed 's/.*@//' "$f")" && return
  mkimg -push -ref "$REGISTRY/$name:1" "$@" | sed 's/:1@/@/' >"$f.new"; mv "$f.new" "$f"; cat "$f"
}
images() {
  local t=(-dir /tmp=1777 -dir /var/run=755 -dir /home/nonroot=755) certs=/etc/ssl/certs/ca-certificates.crt x ko links=() a
  mkdir -p "$RUN/images"
  put "$RUN/passwd" <<<'root:x:0:0:root:/root:/bin/sh
nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh'
  put "$RUN/group" <<<'root:x:0:
nonroot:x:65532:'
  ko=("$RUN/passwd=/etc/passwd" "$RUN/group=/etc/group" "$certs=/etc/ssl/certs/ca-certificates.crt")
  image pause -entrypoint /pause "$(command -v pause)=/pause"
  for x in controller webhook events resolvers nop sidecarlogresults; do
    a=(); [[ $x = resolvers ]] && a=(/usr/bin/tini-static=/sbin/tini)
    image "pipeline-$x" -entrypoint "/ko-app/$x" -user 65532 "${t[@]}" "$PIPELINES/pipelines/$x=/ko-app/$x" "${ko[@]}" "${a[@]}"
  done
  for x in entrypoint workingdirinit; do image "pipeline-$x" -entrypoint "/ko-app/$x" -user 65532 "${t[@]}" "$PIPELINES/pipelines/$x=/ko-app/$x" "${ko[@]}"; done
  for x in $(/bin/busybox --list); do [[ $x = busybox ]] || links+=(-link "/bin/$x=busybox"); done
  # As in Tekton's releases, none of its images runs as root.
  image shell -entrypoint /bin/sh -user 65532 -dir /root=700 "${t[@]}" "${links[@]}" /bin/busybox=/bin/busybox "${ko[@]:0:2}"
  image tools -entrypoint /bin/sh -dir /root=700 "${t[@]}" "${links[@]}" /bin/busybox=/bin/busybox "$(command -v crane)=/bin/crane" \
    "$(command -v ask)=/bin/ask" "${ko[@]}"
}
containerd_up() {
  mkdir -p "$RUN/cni/net.d"
  put "$RUN/cni/net.d/10-pods.conflist" <<Y
{"cniVersion":"0.4.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni-pods","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$RUN/cni/ipam","ranges":[[{"subnet":"$POD_CIDR"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
Y
  put "$RUN/containerd.toml" <<Y
version = 2
root = "$DATA/containerd"
state = "$RUN/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$(ref pause)"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."$REGISTRY"]
    endpoint = ["http://$REGISTRY"]
Y
  daemon containerd containerd --config "$RUN/containerd.toml"
  wait_for 20 ctr -a "$RUN/containerd.sock" version
}
kubelet_start() {
  daemon kubelet kubelet --config "$RUN/kubelet.yaml" --kubeconfig "$RUN/node.kubeconfig" --root-dir "$DATA/kubelet" --cert-dir "$DATA/kubelet/pki" \
    --hostname-override "$NODE" --node-ip "$NODE_IP" --v 2
}
kubelet_up() {
  mkdir -p "$DATA/kubelet" "$LOGS/pods"
  put "$RUN/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$RUN/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
protectKernelDefaults: false
oomScoreAdj: 0
enforceNodeAllocatable: []
localStorageCapacityIsolation: true
readOnlyPort: 0
syncFrequency: 10s
maxPods: 110
podLogsDir: $LOGS/pods
serializeImagePulls: false
registerWithTaints: []
evictionHard: {memory.available: 200Mi, nodefs.available: 2%, imagefs.available: 2%}
imageGCHighThresholdPercent: 98
imageGCLowThresholdPercent: 97
resolvConf: /etc/resolv.conf
Y
  kubelet_start
  # it gives up when containerd has not finished loading what it ran before; then it is started again
  local i
  for ((i = 0; i < 10; i++)); do
    wait_for 6 curl -sf http://127.0.0.1:10248/healthz && break
    kubelet_start
  done
  wait_for 60 kubectl wait --for=condition=Ready "node/$NODE" --timeout=1s
}
proxy_up() {
  put "$RUN/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: $NODE_IP
hostnameOverride: $NODE
clusterCIDR: $POD_CIDR
oomScoreAdj: 0
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $RUN/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
  kubectl get clusterrolebinding node-proxy >/dev/null 2>&1 || kubectl create clusterrolebinding node-proxy --clusterrole=system:node-proxier --user=system:kube-proxy
  daemon kube-proxy kube-proxy --config "$RUN/proxy.yaml"
  wait_for 30 curl -sf http://127.0.0.1:10256/healthz
  wait_for 20 curl -sk "https://$API_SERVICE_IP:443/version"
}
