"""what of a tile searches have covered, besides its watermark

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "searched",
        sa.Column("archive", sa.String(64), primary_key=True),
        sa.Column("tile", sa.String(16), primary_key=True),
        sa.Column("published_from", sa.DateTime(timezone=True)),
        sa.Column("sensed", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("searched")
