"""procrastinate: jobs in PostgreSQL, written in the transaction, fetched by its own workers; no broker."""
