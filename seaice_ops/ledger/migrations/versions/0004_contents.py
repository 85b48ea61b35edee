"""which pixels probabilities and maps were made from

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("probabilities", sa.Column("scene_sha256", sa.String(64), nullable=True))
    op.add_column("map", sa.Column("scene_contents", sa.JSON(), nullable=True))
    # Until now a scene's probabilities counted as made from its present pixels; so they do until these change.
    scene = sa.table("scene", sa.column("id", sa.String), sa.column("sha256", sa.String))
    rows = sa.table("probabilities", sa.column("scene_id", sa.String), sa.column("scene_sha256", sa.String))
    present = sa.select(scene.c.sha256).where(scene.c.id == rows.c.scene_id).scalar_subquery()
    op.execute(rows.update().values(scene_sha256=present))


def downgrade() -> None:
    with op.batch_alter_table("map") as batch:
        batch.drop_column("scene_contents")
    with op.batch_alter_table("probabilities") as batch:
        batch.drop_column("scene_sha256")
