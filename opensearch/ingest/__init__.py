"""Ingest: products from files, streams or an index into an index with vectors."""
