"""Running campaigns: what their managers see and do."""
