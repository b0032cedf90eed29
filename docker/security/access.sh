#!/bin/bash
# Creates roles and users of least privilege: clipita-ingest writes products, clipita-search reads them. Safe to run again.
# Passwords: CLIPITA_INGEST_PASSWORD, CLIPITA_SEARCH_PASSWORD. Alias of the index: CLIPITA_INDEX, default products.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
index=${CLIPITA_INDEX:-products}
[[ $index =~ ^[a-z0-9][a-z0-9._-]*$ ]] || { echo "CLIPITA_INDEX is not a valid index name: $index" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

quoted() { # a text as a JSON string
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

for role in ingest search; do
    name=clipita-$role
    variable=CLIPITA_${role^^}_PASSWORD
    : "${!variable:?set it in docker/.env}"
    sed "s/{index}/$index/g" "$here/roles/$name.json" > "$work/role.json"
    printf '{"password": %s, "opendistro_security_roles": ["%s"]}' "$(quoted "${!variable}")" "$name" > "$work/user.json"
    bash "$here/ask.sh" PUT "/_plugins/_security/api/roles/$name" "$work/role.json"
    bash "$here/ask.sh" PUT "/_plugins/_security/api/internalusers/$name" "$work/user.json"
    echo
done
