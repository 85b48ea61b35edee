"""How much may be asked of an archive: quotas, pacing, the circuit breaker."""
