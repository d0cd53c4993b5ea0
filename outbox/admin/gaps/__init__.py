"""The numbers of senders on the desk: which are missing, and the streams that are watched and sent."""
