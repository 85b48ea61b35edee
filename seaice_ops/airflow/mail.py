"""E-mail through Airflow's connection `smtp_default`."""

from __future__ import annotations

from collections.abc import Sequence


def send(to: Sequence[str], subject: str, html: str) -> None:
    """Send one message; raises what the connection or the server raises."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    with SmtpHook(smtp_conn_id="smtp_default") as hook:
        hook.send_email_smtp(to=list(to), subject=subject, html_content=html)
