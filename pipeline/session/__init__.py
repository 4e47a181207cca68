"""One run at work: what its stages share, what they store, and the tables read from that."""
