"""Before anything is queued: what a job would do and cost, and everything that is wrong with it."""
