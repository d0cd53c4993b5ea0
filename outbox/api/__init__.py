"""The HTTP API of the desk, for programs that act while nobody is there: ``include("outbox.api.urls")``.

It takes the package django-ninja, the extra ``api``.
"""
