"""Half messages: published if a write elsewhere was done, of which a check knows; else taken back."""
