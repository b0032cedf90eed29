#!/bin/sh
# Makes a certificate authority for this deployment and one certificate for its OpenSearch nodes in the folder $1.
# Existing files are kept. Other names of the nodes: CLIPITA_NODE_NAMES="search-1.internal search-2.internal".
set -eu
umask 027
cd "$1"
test -f node.pem && exit 0

names="DNS:localhost,IP:127.0.0.1"
for name in ${CLIPITA_NODE_NAMES:-opensearch opensearch-2 opensearch-3}; do
    names="$names,DNS:$name"
done
openssl req -x509 -newkey rsa:3072 -noenc -sha256 -days 3650 -subj "/CN=clipita shop CA" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout ca.key -out ca.pem
openssl req -newkey rsa:3072 -noenc -sha256 -subj "/CN=opensearch-node" -keyout node.key -out node.csr
printf '%s\n' "subjectAltName=$names" "extendedKeyUsage=serverAuth,clientAuth" "basicConstraints=critical,CA:FALSE" \
    "keyUsage=critical,digitalSignature,keyEncipherment" > node.ext
openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days 825 -extfile node.ext -out made.pem
# The key of the authority is deleted: nobody who reads the volume can sign another certificate.
rm -f ca.key node.csr node.ext ca.srl
chmod 0644 ca.pem
mv made.pem node.pem
