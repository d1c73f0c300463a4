"""Secrets among Beam's flags are refused, and never repeated."""

import pytest

from pipelines.engines.options import pipeline_options
from pipelines.engines.secrets import refuse_secrets
from pipelines.errors import UsageError

SECRET = "x3cr3t"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([f"--s3_secret_access_key={SECRET}"], "AWS_SECRET_ACCESS_KEY"),
        (["--s3_secret_access_key", SECRET], "AWS_SECRET_ACCESS_KEY"),
        ([f"--s3_access_key_id={SECRET}"], "AWS_ACCESS_KEY_ID"),
        ([f"--s3_session_token={SECRET}"], "AWS_SESSION_TOKEN"),
        ([f"--azure_connection_string=AccountKey={SECRET}"], "--azure_connection"),
        ([f"--s3_endpoint_url=https://me:{SECRET}@host"], "--s3_endpoint_url"),
        ([f"--blob_service_endpoint=https://h/?sv=1&sig={SECRET}"], "--blob_service"),
        (
            ["--environment_config", f'{{"env": {{"DB_PASSWORD": "{SECRET}"}}}}'],
            "--environment_config",
        ),
        (
            [f"--environment_options=process_variables=A=1,API_KEY={SECRET}"],
            "--environment_options",
        ),
    ],
)
def test_secret_is_refused_by_its_flag_and_not_repeated(
    flags: list[str], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        pipeline_options(flags)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--s3_endpoint_url=http://localhost:9000", "--s3_region_name=eu"],
        ["--job_endpoint", "localhost:8099"],
        ["--environment_config=localhost:50000"],
        ['--environment_config={"command": "/opt/boot", "env": {"A": "b"}}'],
        ["--labels=team=keys", "--experiments=use_runner_v2"],
        ["--gbek=type:gcpsecret;version_name:projects/p/secrets/s/versions/1"],
        ["--dataflow_kms_key=projects/p/locations/l/keyRings/r/cryptoKeys/k"],
        ["--temp_location=gs://bucket/tmp"],
    ],
)
def test_what_only_names_a_place_is_no_secret(flags: list[str]) -> None:
    refuse_secrets(flags)
