"""Which work pools the deployment creates or changes, against a small copy of Prefect's client."""

from types import SimpleNamespace

import deploy
import pytest
import yaml

TEMPLATE = yaml.safe_load(deploy.WORK_POOL.read_text("utf-8"))
OTHER = {"variables": {}, "job_configuration": {"command": "{{ command }}"}}
REPLACED = "deployment/work_pool.yaml replaces another job template of the work pool: digits\n"


class Client:
    """A client of a server with one work pool; `changes` are those that were requested."""

    def __init__(self, name, type_, template):
        self.pool = SimpleNamespace(name=name, type=type_, base_job_template=template)
        self.changes = []

    def read_work_pools(self):
        return [self.pool]

    def create_work_pool(self, pool):
        self.changes.append((pool.name, pool.type, pool.base_job_template))

    def update_work_pool(self, name, pool):
        self.changes.append((name, pool.base_job_template))


@pytest.mark.parametrize(
    ("pool", "changes", "output"),
    [
        (("digits", "process", TEMPLATE), [], ""),
        (("digits", "process", OTHER), [("digits", TEMPLATE)], REPLACED),
        (("digits", "docker", OTHER), [], ""),
        (("others", "process", OTHER), [("digits", "process", TEMPLATE)], ""),
    ],
    ids=["same", "other", "of Docker", "missing"],
)
def test_another_job_template_of_a_process_pool_is_replaced_and_named(pool, changes, output, capsys):
    client = Client(*pool)
    deploy.update_pools(client, ["digits"])
    assert client.changes == changes
    assert capsys.readouterr().out == output
