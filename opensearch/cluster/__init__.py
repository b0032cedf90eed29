"""The connection to a cluster: address, credentials, errors, back-off, tracing and complete reads."""
