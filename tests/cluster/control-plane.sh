# The part of the cluster outside the node: keys, addresses, etcd, the API server and its controllers. Sourced by up.

pki() {
  [[ -s $PKI/ca.crt ]] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=local-ca -keyout "$PKI/ca.key" -out "$PKI/ca.crt"
  [[ -s $PKI/sa.key ]] || { openssl genrsa -out "$PKI/sa.key" 2048; openssl rsa -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub"; }
  cert() { # NAME SUBJECT SAN
    [[ -s $PKI/$1.crt ]] && return
    openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$PKI/$1.key" -out "$PKI/$1.csr"
    openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 3650 -out "$PKI/$1.crt" \
      -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}")
  }
  cert apiserver /CN=kube-apiserver "IP:$NODE_IP,IP:127.0.0.1,IP:$API_SERVICE_IP,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  cert admin /O=system:masters/CN=admin
  cert controller-manager /CN=system:kube-controller-manager
  cert scheduler /CN=system:kube-scheduler
  cert proxy /CN=system:kube-proxy
  cert node "/O=system:nodes/CN=system:node:$NODE"
  cert front-proxy /CN=front-proxy
  conf() { # FILE CERT
    kubectl --kubeconfig "$1" config set-cluster local --server "https://$NODE_IP:6443" --certificate-authority "$PKI/ca.crt" --embed-certs
    kubectl --kubeconfig "$1" config set-credentials me --client-certificate "$PKI/$2.crt" --client-key "$PKI/$2.key" --embed-certs
    kubectl --kubeconfig "$1" config set-context local --cluster local --user me
    kubectl --kubeconfig "$1" config use-context local
    chmod 600 "$1"
  }
  local x
  [[ -s $KUBECONFIG ]] || conf "$KUBECONFIG" admin
  for x in controller-manager scheduler proxy node; do [[ -s $RUN/$x.kubeconfig ]] || conf "$RUN/$x.kubeconfig" "$x"; done
}
net() {
  # this and the kubelet change these; down.sh puts them back
  ip -4 addr show dev lo | grep -q "inet $NODE_IP/" || ip addr add "$NODE_IP/32" dev lo
  [[ -s $RUN/sysctl.saved ]] || sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops net.ipv4.ip_forward >"$RUN/sysctl.saved"
  sysctl -qw net.ipv4.ip_forward=1
}
etcd_up() {
  daemon etcd etcd --name node --data-dir "$DATA/etcd" --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
    --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster node=http://127.0.0.1:12380 \
    --logger zap --log-level warn --unsafe-no-fsync
  wait_for 30 curl -sf http://127.0.0.1:12379/health
}
apiserver_up() {
  daemon kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:12379 --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 \
    --service-cluster-ip-range "$SERVICE_CIDR" --authorization-mode Node,RBAC --allow-privileged \
    --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
    --kubelet-client-certificate "$PKI/admin.crt" --kubelet-client-key "$PKI/admin.key" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
    --requestheader-client-ca-file "$PKI/ca.crt" --requestheader-allowed-names front-proxy --requestheader-username-headers X-Remote-User \
    --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/front-proxy.crt" --proxy-client-key-file "$PKI/front-proxy.key" \
    --kubelet-preferred-address-types InternalIP --enable-admission-plugins NodeRestriction --v 1
  wait_for 60 kubectl get --raw /readyz
}
managers_up() {
  daemon kube-controller-manager kube-controller-manager --kubeconfig "$RUN/controller-manager.kubeconfig" --leader-elect=false --bind-address 127.0.0.1 \
    --authentication-kubeconfig "$RUN/controller-manager.kubeconfig" --authorization-kubeconfig "$RUN/controller-manager.kubeconfig" \
    --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" --use-service-account-credentials \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" --v 1
  daemon kube-scheduler kube-scheduler --kubeconfig "$RUN/scheduler.kubeconfig" --leader-elect=false --bind-address 127.0.0.1 \
    --authentication-kubeconfig "$RUN/scheduler.kubeconfig" --authorization-kubeconfig "$RUN/scheduler.kubeconfig" --v 1
  wait_for 30 kubectl -n default get serviceaccount default
}
