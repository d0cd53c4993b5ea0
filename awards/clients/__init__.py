"""Who may draw: clients with keys, entitlements, signed links, and what stands before luck."""
