"""The list of consumers and the page of one."""
