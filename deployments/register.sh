#!/usr/bin/env bash
# Registers the deployments of a model, and the work pool and the automations, from a pod of the model's image: the
# worker's image lacks the module.
#
#     deployments/register.sh IMAGE
#
# NAMESPACE and KUBECTL may be set.
set -euo pipefail

image=$1
namespace=${NAMESPACE:-slipway}
kubectl=${KUBECTL:-kubectl}

# A name of its own: one that was interrupted may still be there.
name=register-$(date +%s)
flows=$($kubectl -n "$namespace" get deployment prefect-worker -o jsonpath='{.spec.template.spec.containers[0].image}')
pod=$(cat <<JSON
{"spec": {
  "serviceAccountName": "server",
  "automountServiceAccountToken": false,
  "enableServiceLinks": false,
  "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
  "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
  "containers": [{
    "name": "register", "image": "$image", "stdin": true, "stdinOnce": true,
    "command": ["sh", "-c", "cat > /dev/null; exec slipway register --image '$flows' --model-image '$image'"],
    "env": [
      {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
      {"name": "PREFECT_API_URL", "value": "http://prefect-server:4200/api"},
      {"name": "PREFECT_API_AUTH_STRING", "valueFrom": {"secretKeyRef": {"name": "prefect-auth", "key": "auth-string"}}},
      {"name": "PREFECT_SERVER_EPHEMERAL_ENABLED", "value": "false"}],
    "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}]}}
JSON
)
# It waits for the end of its input: what it says would be lost where it ended before kubectl listens.
$kubectl -n "$namespace" run "$name" --image "$image" --labels slipway/asks-prefect=true --restart Never --rm --stdin \
    --quiet --pod-running-timeout 5m --overrides "$pod" < /dev/null
