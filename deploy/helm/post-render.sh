#!/bin/sh
# Helm's post-renderer: applies the overlay `deploy/kustomize`, or the one in the directory
# TWILL_OVERLAY, to what the chart of kube-flannel renders. The chart has no value for the command
# of its init container. Needs kubectl 1.21 or later.
set -eu
here=$(dirname "$(readlink -f "$0")")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "${TWILL_OVERLAY:-$here/../kustomize}"/*.yaml "$dir"
cat >"$dir/kube-flannel.yml"
kubectl kustomize "$dir"
