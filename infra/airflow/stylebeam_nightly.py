"""Every night: stylize what is new.

Copy this file into Airflow's folder of DAGs. The workers need the command `stylebeam`
on their PATH, in an environment of its own: Airflow's has other versions of packages.
"""

import datetime
import shlex
import subprocess

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# What cron and systemd run too.
COMMAND = (
    "stylebeam stylize --content /srv/photos --style /srv/paintings "
    "--output /srv/stylized --precision bfloat16"
)


@dag(
    schedule="30 2 * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    catchup=False,  # One run does what all missed ones would have done.
    max_active_runs=1,
    params={"command": Param(COMMAND, type="string")},
    tags=["stylebeam"],
)
def stylebeam_nightly():
    """Run the incremental command; what is done already stays."""

    @task(retries=2, retry_delay=datetime.timedelta(minutes=10))
    def stylize(params=None):
        # A task that is ended kills its command, and the next run goes on.
        status = subprocess.run(shlex.split(params["command"]), check=False).returncode
        if status == 2:
            raise AirflowFailException("exit status 2: see the last line of the log")
        if status:
            raise AirflowException(f"exit status {status}: the same command goes on")

    stylize()


stylebeam_nightly()
