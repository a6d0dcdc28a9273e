"""Create the automations of automations.yaml on the Prefect server, or update those with the same name.

`make up` runs it; for another server: PREFECT_API_URL=… .venv/bin/python deployment/automations.py
"""

from pathlib import Path

import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        for fields in yaml.safe_load(Path(__file__).with_name("automations.yaml").read_text()):
            automation = AutomationCore.model_validate(fields)
            # `prefect automation create` would add a second one of the same name.
            if existing := client.read_automations_by_name(automation.name):
                client.update_automation(existing[0].id, automation)
            else:
                client.create_automation(automation)
