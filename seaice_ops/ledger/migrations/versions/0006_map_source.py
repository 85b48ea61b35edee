"""what told a map its classes: a model or a set of labels

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAMES = {"fk": "%(table_name)s_%(column_0_name)s_fkey"}


def upgrade() -> None:
    with op.batch_alter_table("map", naming_convention=_NAMES) as batch:
        batch.drop_constraint("map_model_id_fkey", type_="foreignkey")
        batch.alter_column("model_id", new_column_name="source", existing_type=sa.String(96))


def downgrade() -> None:
    with op.batch_alter_table("map", naming_convention=_NAMES) as batch:
        batch.alter_column("source", new_column_name="model_id", existing_type=sa.String(96))
    with op.batch_alter_table("map") as batch:  # SQLite knows the column's new name only now
        batch.create_foreign_key("map_model_id_fkey", "model", ["model_id"], ["id"])
