"""what the ledger remembers of an archive: watermarks, transfers, the breaker; who has a scene in hand

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "watermark",
        sa.Column("archive", sa.String(64), nullable=False),
        sa.Column("tile", sa.String(16), nullable=False),
        sa.Column("published_until", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.PrimaryKeyConstraint("archive", "tile"),
    )
    op.create_table(
        "transfer_usage",
        sa.Column("archive", sa.String(64), nullable=False),
        sa.Column("hour", time, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("archive", "hour"),
    )
    op.create_table(
        "breaker",
        sa.Column("archive", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", time, nullable=True),
        sa.Column("retry_at", time, nullable=True),
        sa.Column("reason", sa.String(2048), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("updated_at", time, nullable=False),
        sa.PrimaryKeyConstraint("archive"),
    )
    op.add_column("scene", sa.Column("claimed_by", sa.String(256), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("scene") as batch:
        batch.drop_column("claimed_by")
    for table in ("breaker", "transfer_usage", "watermark"):
        op.drop_table(table)
