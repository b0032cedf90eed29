#!/bin/bash
# Sends one request to the cluster as admin: ask.sh METHOD PATH [BODY-FILE]. The password goes through a pipe, so no
# process list shows it. OPENSEARCH_URL is the cluster, OPENSEARCH_CA the trusted authority.
set -euo pipefail
password=${OPENSEARCH_INITIAL_ADMIN_PASSWORD//\\/\\\\}
password=${password//\"/\\\"}
body=()
test $# -lt 3 || body=(--header "Content-Type: application/json" --data-binary "@$3")
printf 'user = "admin:%s"\n' "$password" | curl --silent --show-error --fail-with-body --max-time 30 --config - \
    --cacert "${OPENSEARCH_CA:-/usr/share/opensearch/config/certificates/ca.pem}" \
    --request "$1" "${body[@]}" "${OPENSEARCH_URL:-https://localhost:9200}$2"
