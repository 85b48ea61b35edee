"""ice drift between neighbouring acquisitions

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift",
        sa.Column("before_id", sa.String(128), sa.ForeignKey("scene.id"), primary_key=True),
        sa.Column("after_id", sa.String(128), sa.ForeignKey("scene.id"), primary_key=True),
        sa.Column("tile", sa.String(5), nullable=False),
        sa.Column("inputs", sa.String(64), nullable=False),
        sa.Column("key", sa.String(512), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("vectors", sa.Integer, nullable=False),
        sa.Column("median_speed", sa.Double),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_drift_tile", "drift", ["tile"])


def downgrade() -> None:
    op.drop_table("drift")
