# Tekton Pipelines and, for the measurement, Tekton Chains. Sourced by up.

render() { # DIR: every .yaml below it, with local images and without what needs a metrics server
  local f x e=(-e "s#\"-shell-image\", \"[^\"]*\"#\"-shell-image\", \"$(ref shell)\"#" -e "s#ko://github.com/tektoncd/chains/cmd/controller#$(cat "$RUN/images/chains-controller" 2>/dev/null)#")
  for x in controller webhook events resolvers entrypoint nop workingdirinit sidecarlogresults; do e+=(-e "s#ko://github.com/tektoncd/pipeline/cmd/$x\\b#$(ref "pipeline-$x")#"); done
  for f in $(find "$1" -name '*.yaml' ! -name 'webhook-hpa.yaml' | sort); do echo; echo ---; sed "${e[@]}" "$f"; done
}
rollout() { local d; for d in $(kubectl -n "$1" get deploy -o name); do kubectl -n "$1" rollout status "$d" --timeout=120s; done; }
apply() { wait_for 120 kubectl apply --server-side --force-conflicts "$@"; } # again while a webhook is still starting
pipeline_crds() {
  apply -f "$PIPELINES/config/100-namespace" -f "$PIPELINES/config/300-crds"
  kubectl wait --for=condition=Established crd -l app.kubernetes.io/part-of=tekton-pipelines --timeout=60s
}
pipeline_up() {
  apply -f "$PIPELINES/config/resolvers/100-namespace.yaml"
  render "$PIPELINES/config" >"$RUN/pipeline.yaml"
  apply -f "$RUN/pipeline.yaml"
  # Without these, Tekton's own containers are not what a namespace with the level "restricted" takes.
  kubectl -n tekton-pipelines patch configmap feature-flags --type merge \
    -p '{"data":{"set-security-context":"true","set-security-context-read-only-root-filesystem":"true"}}'
  rollout tekton-pipelines; rollout tekton-pipelines-resolvers
}
# A controller that was set up for anything else is of no use to the measurement: its key and settings come from there.
chains_up() {
  image chains-controller -entrypoint /ko-app/controller -user 65532 -dir /tmp=1777 -dir /home/nonroot=755 \
    "$CHAINS/chains/controller=/ko-app/controller" "$RUN/passwd=/etc/passwd" "$RUN/group=/etc/group" \
    "/etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt"
  render "$CHAINS/config" >"$RUN/chains.yaml"
  apply -f "$RUN/chains.yaml"
  kubectl -n tekton-chains rollout status deployment/tekton-chains-controller --timeout=120s
}
