"""The upper bound of ``outside``: the same calls with nothing around them, neither a broker nor a row settled."""
