"""Is everything accounted for? Business rows against their messages, in windows by the business's own date.

``declaring`` is what a project writes down, ``reading`` the statements that compare, ``keeping`` what is remembered of
them, ``running`` the chore, and ``days`` the days that a person closes.
"""
