"""the object store that belongs to the ledger; the scene's content that labels were made from

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: Labels older than their scene's last change may be of what it held before: they stay without a content, and are made
#: anew.
_FILL = """
UPDATE label_set SET scene_sha256 =
    (SELECT scene.sha256 FROM scene WHERE scene.id = label_set.scene_id AND scene.updated_at <= label_set.created_at)
"""


def upgrade() -> None:
    op.create_table(
        "object_store",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("label_set", sa.Column("scene_sha256", sa.String(64), nullable=True))
    op.execute(_FILL)


def downgrade() -> None:
    with op.batch_alter_table("label_set") as batch:
        batch.drop_column("scene_sha256")
    op.drop_table("object_store")
