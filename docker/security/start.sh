#!/bin/bash
# Starts the image without its demo users, whose passwords are public. The only user is `admin` with the password of
# OPENSEARCH_INITIAL_ADMIN_PASSWORD, which is read at the first start only; change it later with the REST API.
set -euo pipefail
cd /usr/share/opensearch
: "${OPENSEARCH_INITIAL_ADMIN_PASSWORD:?set it in docker/.env}"
hash=$(plugins/opensearch-security/tools/hash.sh -env OPENSEARCH_INITIAL_ADMIN_PASSWORD | tail -n 1)
cat > config/opensearch-security/internal_users.yml <<USERS
_meta:
  type: "internalusers"
  config_version: 2
admin:
  hash: "$hash"
  reserved: true
  backend_roles: ["admin"]
USERS
chmod 0600 config/opensearch-security/internal_users.yml
exec ./opensearch-docker-entrypoint.sh
