"""What some projects need beside the engine, each with a requirement of its own."""
