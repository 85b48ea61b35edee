"""Limits on what is asked of an archive: quotas, pacing, the circuit breaker."""
