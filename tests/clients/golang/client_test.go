// Package client has the client that oapi-codegen makes of the document: it starts a canary, and reads its outcome.
// SERIN_URL says where serin is.
package client

import (
	"os"
	"strconv"
	"testing"
	"time"

	"clients/golang/serin"
)

//go:generate go tool oapi-codegen -generate types,client -package serin -o serin/serin.go serin.json

const reports = "reports"

func to[T any](value T) *T { return &value }

func config() *serin.CanaryConfig {
	query := serin.CanaryMetricSetQueryConfig{"type": "prometheus", "customInlineTemplate": "PromQL:vector(time() % 7 + ${level})"}
	canary := serin.CanaryAnalysisConfiguration{
		Direction:  to(serin.DirectionIncrease),
		EffectSize: &serin.EffectSizeConfiguration{AllowedIncrease: to(1.1)},
	}
	return &serin.CanaryConfig{
		Name: to("go"),
		Metrics: &[]serin.CanaryMetricConfig{{
			Name: to("errors"), Groups: &[]string{"all"}, ScopeName: to("default"), Query: &query,
			AnalysisConfigurations: &serin.AnalysisConfigurations{Canary: &canary},
		}},
		Classifier: &serin.CanaryClassifierConfig{GroupWeights: &map[string]float64{"all": 100}},
	}
}

func side(level int) *serin.CanaryScope {
	start := time.Date(2024, 6, 1, 1, 0, 0, 0, time.UTC)
	return &serin.CanaryScope{
		Scope: to("v1"), Step: to(int64(60)), Start: &start, End: to(start.Add(time.Hour)),
		ExtendedScopeParams: &map[string]string{"level": strconv.Itoa(level)},
	}
}

func request(level int) *serin.CanaryExecutionRequest {
	return &serin.CanaryExecutionRequest{
		Scopes:     &map[string]serin.CanaryScopePair{"default": {ControlScope: side(1), ExperimentScope: side(level)}},
		Thresholds: &serin.CanaryClassifierThresholdsConfig{Pass: to(95.0), Marginal: to(75.0)},
	}
}

func TestCanariesHaveTheirOutcome(t *testing.T) {
	client, err := serin.NewClientWithResponses(os.Getenv("SERIN_URL"))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		level   int
		outcome serin.Outcome
		label   serin.Label
	}{
		{1, serin.OutcomePass, serin.LabelPass},
		{9, serin.OutcomeFail, serin.LabelHigh},
	}
	for _, c := range cases {
		started, err := client.InitiateAdhocCanaryWithResponse(t.Context(),
			&serin.InitiateAdhocCanaryParams{
				Application: to("go"), MetricsAccountName: to("history"), StorageAccountName: to(reports),
			},
			serin.CanaryAdhocExecutionRequest{CanaryConfig: config(), ExecutionRequest: request(c.level)})
		if err != nil || started.JSON200 == nil {
			t.Fatal(err, string(started.Body))
		}
		found, err := client.FindCanaryExecutionWithResponse(t.Context(), started.JSON200.CanaryExecutionId,
			&serin.FindCanaryExecutionParams{StorageAccountName: to(reports), Wait: to("30s")})
		if err != nil || found.JSON200 == nil {
			t.Fatal(err, string(found.Body))
		}
		execution := found.JSON200
		label := execution.Result.JudgeResult.Results[0].Classification
		if *execution.Outcome != c.outcome || label != c.label {
			t.Errorf("level %d: %s, %s", c.level, *execution.Outcome, label)
		}
	}
	missing, err := client.FindCanaryExecutionWithResponse(t.Context(), "missing",
		&serin.FindCanaryExecutionParams{StorageAccountName: to(reports)})
	if err != nil || missing.JSON404 == nil {
		t.Fatal(err, missing)
	}
}
