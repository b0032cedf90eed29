"""Search: options, clauses, request bodies, fusion, results, templates and tuning."""
