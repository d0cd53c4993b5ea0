"""The commands of ``manage.py`` that start processes."""
