"""every change of a scene's state is kept

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scene", sa.Column("moves", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "scene_event",
        sa.Column("scene_id", sa.String(128), sa.ForeignKey("scene.id"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.String(16), nullable=True),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(2048), nullable=True),
        sa.Column("caller", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("scene_id", "number"),
    )
    op.create_index("ix_scene_event_at", "scene_event", ["at"])


def downgrade() -> None:
    op.drop_table("scene_event")
    with op.batch_alter_table("scene") as batch:
        batch.drop_column("moves")
