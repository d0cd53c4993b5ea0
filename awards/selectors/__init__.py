"""What can be read: campaigns, draws and awards for those who ask, and how a campaign stands."""
