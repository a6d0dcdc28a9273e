"""The deadline of a retraining, in Prefect's own evaluation of automations with a simulated clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]

AUTOMATIONS = Path(__file__).parents[2] / "deployment" / "automations.yaml"
FIRST_NIGHT = datetime(2100, 1, 1, 3, tzinfo=UTC)  # in the future, so that the tests' server leaves it alone
DEADLINE, TOLERANCE = timedelta(hours=2), timedelta(seconds=120)
OUTCOMES = ["Promoted", "Refused", "Unchanged", "Completed"]


@pytest.fixture
def simulated(monkeypatch):
    """Create the automation; return a function that simulates events by their times and returns the alarms' times."""
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore
    from prefect.server.database import provide_database_interface
    from prefect.server.events import triggers

    alarms, now = [], []

    async def fire(_session, firing):
        alarms.append(now[-1])

    async def no_offset():
        return 0.0

    monkeypatch.setattr(triggers, "fire", fire)
    monkeypatch.setattr(triggers, "get_events_clock_offset", no_offset)
    (fields,) = (each for each in yaml.safe_load(AUTOMATIONS.read_text()) if each["name"] == "digits-alarm-retraining")
    with get_client(sync_client=True) as client:
        automation = client.create_automation(AutomationCore.model_validate(fields))

    async def simulate(events, until):
        database = provide_database_interface()
        async with database.session_context() as session:
            await triggers.load_automations(session)
        (trigger,) = (each for each in triggers.triggers.values() if each.automation.id == automation)
        waiting, next_evaluation = sorted(events), FIRST_NIGHT
        while next_evaluation < until:
            while waiting and waiting[0][0] <= next_evaluation:
                now.append(waiting[0][0])
                await triggers.reactive_evaluation(event(*waiting.pop(0)))
            now.append(next_evaluation)
            next_evaluation = await triggers.proactive_evaluation(trigger, next_evaluation)  # as the server does
        return alarms

    yield lambda events, until: asyncio.run(simulate(events, until))
    triggers.forget_automation(automation)
    with get_client(sync_client=True) as client:
        client.delete_automation(automation)


def event(occurred, state, run, deployment="retrain"):
    from prefect.server.events.schemas.events import ReceivedEvent

    roles = [
        {"prefect.resource.id": f"prefect.deployment.{deployment}", "prefect.resource.role": "deployment"}
        | {"prefect.resource.name": deployment}
    ]
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    return ReceivedEvent(
        occurred=occurred, event=f"prefect.flow-run.{state}", resource=resource, related=roles, id=uuid4()
    )


def night(day, outcome, start="Pending", hours=1.5):
    due = FIRST_NIGHT + timedelta(days=day)
    return [(due, start, day)] + ([(due + timedelta(hours=hours), outcome, day)] if outcome else [])


def test_a_good_fortnight_is_silent_and_a_missed_deadline_is_not(simulated):
    good = [each for day in range(14) for each in night(day, OUTCOMES[day % 4], ["Pending", "Late"][day % 2])]
    stopped, failed = night(14, None, "Late"), night(15, "Failed")
    alarms = simulated(good + stopped + failed, FIRST_NIGHT + timedelta(days=16))
    expected = [FIRST_NIGHT + timedelta(days=day) + DEADLINE for day in (14, 15)]
    assert len(alarms) == len(expected)
    assert all(due <= raised <= due + TOLERANCE for due, raised in zip(expected, alarms, strict=True))


@pytest.mark.parametrize(("deployment", "n_alarms"), [("retrain-large", 1), ("predict", 0)])
def test_each_retraining_deployment_has_its_own_deadline(simulated, deployment, n_alarms):
    lost = (FIRST_NIGHT + timedelta(minutes=1), "Pending", "lost", deployment)
    assert len(simulated([*night(0, "Promoted"), lost], FIRST_NIGHT + timedelta(hours=4))) == n_alarms
