"""which maps are in the catalogue, and in which collection

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("map", sa.Column("catalogued", sa.String(96), nullable=True))
    op.create_index("ix_map_catalogued", "map", ["catalogued", "tile", "window_end"])


def downgrade() -> None:
    op.drop_index("ix_map_catalogued", "map")
    op.drop_column("map", "catalogued")
