"""The client that openapi-python-client makes of the document: it starts a canary, and reads its outcome.

SERIN_URL says where serin is.
"""

import datetime
import os

from serin_client import Client
from serin_client.api.canary import find_canary_execution, initiate_adhoc_canary
from serin_client.models import (
    AnalysisConfigurations,
    CanaryAdhocExecutionRequest,
    CanaryAnalysisConfiguration,
    CanaryClassifierConfig,
    CanaryClassifierConfigGroupWeightsType0,
    CanaryClassifierThresholdsConfig,
    CanaryConfig,
    CanaryExecutionRequest,
    CanaryExecutionRequestScopes,
    CanaryMetricConfig,
    CanaryMetricSetQueryConfig,
    CanaryScope,
    CanaryScopePair,
    Direction,
    EffectSizeConfiguration,
    Label,
    Outcome,
)
from serin_client.models.canary_scope_extended_scope_params_type_0 import CanaryScopeExtendedScopeParamsType0

client = Client(base_url=os.environ["SERIN_URL"])


def of_dict(kind, members):
    made = kind()
    made.additional_properties = members
    return made


def side(level):
    return CanaryScope(
        scope="v1",
        start=datetime.datetime(2024, 6, 1, 1, tzinfo=datetime.timezone.utc),
        end=datetime.datetime(2024, 6, 1, 2, tzinfo=datetime.timezone.utc),
        step=60,
        extended_scope_params=of_dict(CanaryScopeExtendedScopeParamsType0, {"level": level}),
    )


def judged(level):
    query = {"type": "prometheus", "customInlineTemplate": "PromQL:vector(time() % 7 + ${level})"}
    metric = CanaryMetricConfig(
        name="errors",
        query=of_dict(CanaryMetricSetQueryConfig, query),
        groups=["all"],
        scope_name="default",
        analysis_configurations=AnalysisConfigurations(
            canary=CanaryAnalysisConfiguration(
                direction=Direction.INCREASE, effect_size=EffectSizeConfiguration(allowed_increase=1.1)
            )
        ),
    )
    weights = of_dict(CanaryClassifierConfigGroupWeightsType0, {"all": 100.0})
    config = CanaryConfig(name="python", metrics=[metric], classifier=CanaryClassifierConfig(group_weights=weights))
    pair = CanaryScopePair(control_scope=side("1"), experiment_scope=side(level))
    request = CanaryExecutionRequest(
        scopes=of_dict(CanaryExecutionRequestScopes, {"default": pair}),
        thresholds=CanaryClassifierThresholdsConfig(pass_=95.0, marginal=75.0),
    )
    started = initiate_adhoc_canary.sync(
        client=client,
        application="python",
        metrics_account_name="history",
        storage_account_name="reports",
        body=CanaryAdhocExecutionRequest(canary_config=config, execution_request=request),
    )
    return find_canary_execution.sync(
        started.canary_execution_id, client=client, storage_account_name="reports", wait="30s"
    )


# The level of the experiment, what came of it, the label of its metric, and the direction that it had.
for level, outcome, label in [("1", Outcome.PASS, Label.PASS), ("9", Outcome.FAIL, Label.HIGH)]:
    found = judged(level)
    assert found.complete and found.outcome == outcome, found
    assert found.result.judge_result.results[0].classification == label, found
    assert found.config.metrics[0].analysis_configurations.canary.direction == Direction.INCREASE, found
missing = find_canary_execution.sync("missing", client=client, storage_account_name="reports")
assert missing.status == 404 and "missing" in missing.message, missing
print("the generated client of Python started two canaries and read what came of them")
