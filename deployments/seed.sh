#!/usr/bin/env bash
# Copies what a delivery on this machine has downloaded of the datasets, and the sets that were added here by `slipway
# data add`, to the volume `data` of the cluster, or of docker compose. Published files that stand in FOLDER/NAME/ are
# copied too.
#
#     deployments/seed.sh [FOLDER]
#     COMPOSE='docker compose -f docker/compose.yaml' deployments/seed.sh [FOLDER]
#
# FOLDER is a DATA_ROOT (default: data). NAMESPACE and KUBECTL may be set.
set -euo pipefail

folder=${1:-data}
namespace=${NAMESPACE:-slipway}
kubectl=${KUBECTL:-kubectl}
compose=${COMPOSE:-}

[ -d "$folder" ] || { echo "seed: $folder is not a folder" >&2; exit 2; }
# Decoded sets stay: the delivery makes its own, with its own keys. A set is there once its set.json is, which comes
# last.
files=$(cd "$folder" && find . -mindepth 2 -maxdepth 3 -type f \
    \( -path './*/downloads/*' -o -path './*/content-*/*' -o ! -path './*/*/*' \) \
    ! -name '.*' ! -name 'unreachable-*' | awk '{ print (/\/set\.json$/ ? 1 : 0) " " $0 }' | sort | cut -d ' ' -f 2-)
[ -n "$files" ] || { echo "seed: $folder holds no downloaded files and no sets: deliver there once, or put them into it" >&2; exit 2; }
pack() {
    printf '%s\n' "$files" | tar --create --directory "$folder" --verbatim-files-from --files-from /dev/stdin
}
extract=(tar --extract --no-same-owner --no-same-permissions --directory /data)

if [ -n "$compose" ]; then
    pack | $compose exec -T worker "${extract[@]}"
else
    # A name of its own: one that was interrupted may still be there.
    name=seed-$(date +%s)
    image=$($kubectl -n "$namespace" get deployment prefect-worker -o jsonpath='{.spec.template.spec.containers[0].image}')
    command=$(printf '"%s", ' "${extract[@]}")
    pod=$(cat <<JSON
{"spec": {
  "automountServiceAccountToken": false,
  "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
  "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
  "containers": [{
    "name": "seed", "image": "$image", "stdin": true, "stdinOnce": true,
    "command": [${command%, }],
    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}
JSON
    )
    pack | $kubectl -n "$namespace" run "$name" --image "$image" --restart Never --rm --stdin --quiet --pod-running-timeout 5m --overrides "$pod"
fi
printf 'copied to the volume data:\n%s\n' "$files"
