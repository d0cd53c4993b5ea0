"""The process that publishes for one contestant and counts what became of it: a JSON line in, a JSON line out.

Started with the contestant's settings, the name of its adapter and of modules with commands; those are the same for all
contestants, so that only the adapter differs.
"""

import importlib
import inspect
import json
import sys
from typing import Any

import django


def main(adapter_name: str, *modules: str) -> None:
    """Carry out commands until the input ends."""
    django.setup()
    adapter = importlib.import_module(adapter_name)
    commands = [importlib.import_module(module) for module in modules]
    for line in sys.stdin:
        name, arguments = json.loads(line)
        command = next(getattr(module, name) for module in commands if hasattr(module, name))
        if "adapter" in inspect.signature(command).parameters:
            arguments["adapter"] = adapter
        print(json.dumps(_carry_out(command, arguments)), flush=True)


def _carry_out(command: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what the command returns, or what went wrong; the runner raises it."""
    try:
        return {"answer": command(**arguments)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(*sys.argv[1:])
