"""The failure groups and the page of one."""
