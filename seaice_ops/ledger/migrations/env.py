"""Alembic's entry: applies the migrations to the engine that `ledger.session` hands over."""

from alembic import context

from seaice_ops.ledger.tables import Base

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=True
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two starting workers may both migrate; the second waits and finds nothing to do.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(72177321)")
        context.run_migrations()
    connection.commit()
