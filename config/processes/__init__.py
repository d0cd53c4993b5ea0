"""The project's processes: what runs, under which supervisor, and what a command says when it cannot run."""
