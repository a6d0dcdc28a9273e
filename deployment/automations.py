"""Bring the automations of automations.yaml to the Prefect server; those that are there are made what the file says.

`make up` runs it; for a server of your own, PREFECT_API_URL=… .venv/bin/python deployment/automations.py
"""

from pathlib import Path

import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

DECLARED = Path(__file__).with_name("automations.yaml")


def main() -> None:
    """Create or update each automation, by its name."""
    with get_client(sync_client=True) as client:
        for fields in yaml.safe_load(DECLARED.read_text()):
            automation = AutomationCore.model_validate(fields)
            there = client.read_automations_by_name(automation.name)
            if there:
                client.update_automation(there[0].id, automation)
            else:
                client.create_automation(automation)


if __name__ == "__main__":
    main()
