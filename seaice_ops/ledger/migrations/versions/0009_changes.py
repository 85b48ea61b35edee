"""dated changes, and what people decide about them

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("id", sa.String(96), primary_key=True),
        sa.Column("tile", sa.String(5), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("before_class", sa.Integer(), nullable=False),
        sa.Column("after_class", sa.Integer(), nullable=False),
        sa.Column("decided_class", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=False),
        sa.Column("pixels", sa.Integer(), nullable=False),
        sa.Column("area_km2", sa.Double(), nullable=False),
        sa.Column("crs", sa.String(2048), nullable=False),
        sa.Column("transform", sa.JSON(), nullable=False),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("box", sa.JSON(), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("folder", sa.String(512), nullable=False),
        sa.Column("pixels_sha256", sa.String(64), nullable=False),
        sa.Column("scene_ids", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(2048), nullable=True),
        sa.Column("decided_by", sa.String(256), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_change_tile", "change", ["tile"])
    op.create_table(
        "change_event",
        sa.Column("change_id", sa.String(96), sa.ForeignKey("change.id"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.String(16), nullable=True),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(2048), nullable=True),
        sa.Column("caller", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("change_id", "number"),
    )


def downgrade() -> None:
    op.drop_table("change_event")
    op.drop_table("change")
