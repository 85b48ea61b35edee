"""Write the file that Airflow's simple auth manager reads the administrator's password from."""

import json
import os
from pathlib import Path

path = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
path.parent.mkdir(parents=True, exist_ok=True)
part = path.with_suffix(".part")
part.touch(mode=0o600)
part.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
part.replace(path)
