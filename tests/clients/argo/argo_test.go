// Argo Rollouts' own metric providers against serin. What they call is the exported API of the
// published module, as the Rollouts controller calls it; SERIN_URL says where serin is.
package argo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-rollouts/metricproviders/kayenta"
	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	log "github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	configName = "argo-two-metrics"
	lookedBack = time.Hour
	// Argo looks for the config in its account for reports, whatever its account for configs is.
	account = "reports"
)

var (
	serin  = os.Getenv("SERIN_URL")
	logger = *log.NewEntry(log.StandardLogger())
	run    = func() *v1alpha1.AnalysisRun {
		started := metav1.NewTime(time.Now().Add(-lookedBack))
		return &v1alpha1.AnalysisRun{Status: v1alpha1.AnalysisRunStatus{StartedAt: &started}}
	}()
)

func TestMain(m *testing.M) {
	if serin == "" {
		panic("SERIN_URL is not set")
	}
	for _, account := range []string{account, ""} {
		store(account, configName,
			// The same on both sides, and as much higher as the scope says.
			metric("load", "PromQL:vector(time() % 77)"),
			metric("errors", "PromQL:vector(${scope} + time() % 77)"))
	}
	// As a release that is measured while its window grows.
	looks := func(lifetime int) map[string]any {
		return map[string]any{"name": "sequential-v1", "judgeConfigurations": map[string]any{"lifetimeMins": lifetime}}
	}
	told := []map[string]any{
		metric("load", "PromQL:vector(time() % 77)"), metric("errors", "PromQL:vector(${scope} + time() % 77)"),
	}
	silent := append(told[:2:2], metric("silent", `PromQL:nothing_like_this{version="${scope}"}`))
	storeJudged(account, "argo-last-look", looks(60), told...)
	storeJudged(account, "argo-last-look-silent", looks(60), silent...)
	storeJudged(account, "argo-early-look", looks(240), told...)
	storeJudged(account, "argo-early-look-silent", looks(240), silent...)
	store(account, "argo-history", metric("cpu_usage", `version="${scope}",namespace="${location}"`))
	store(account, "argo-silent", metric("silent", `PromQL:nothing_like_this{version="${scope}"}`))
	store(account, "argo-broken", metric("broken", "PromQL:sum("))
	os.Exit(m.Run())
}

func TestVerdictsReachTheKayentaProvider(t *testing.T) {
	for _, verdict := range []struct {
		name        string
		experiment  string
		threshold   v1alpha1.KayentaThreshold
		value       string
		phase, seen v1alpha1.AnalysisPhase
	}{
		{"pass", "0", v1alpha1.KayentaThreshold{Pass: 90, Marginal: 75}, "100",
			v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseSuccessful},
		{"marginal", "100", v1alpha1.KayentaThreshold{Pass: 90, Marginal: 50}, "50",
			v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseFailed},
		{"fail", "100", v1alpha1.KayentaThreshold{Pass: 90, Marginal: 75}, "50",
			v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseFailed},
	} {
		t.Run(verdict.name, func(t *testing.T) {
			metric := canary(configName, "0", verdict.experiment)
			metric.Provider.Kayenta.Threshold = verdict.threshold
			measured := measure(t, metric)
			expect(t, measured, verdict.phase, "")
			if measured.Value != verdict.value {
				t.Errorf("value %q, not %q", measured.Value, verdict.value)
			}
			expect(t, web(t, executionID(measured), "result >= 90", "result < 75"), verdict.seen, "")
		})
	}
}

func TestAScoreBetweenBothConditionsOfTheWebProviderIsInconclusive(t *testing.T) {
	measured := measure(t, canary(configName, "0", "100"))
	expect(t, web(t, executionID(measured), "result >= 90", "result < 50"), v1alpha1.AnalysisPhaseInconclusive, "")
}

func TestTheVerdictEndpointReachesTheWebProvider(t *testing.T) {
	const success, failure = `result.pass`, `result.classification == "Fail"`
	for _, verdict := range []struct {
		name, experiment string
		members          map[string]any
		phase            v1alpha1.AnalysisPhase
	}{
		{"pass", "0", nil, v1alpha1.AnalysisPhaseSuccessful},
		{"marginal", "100", map[string]any{"thresholds": thresholds(90, 50)}, v1alpha1.AnalysisPhaseInconclusive},
		{"fail", "100", nil, v1alpha1.AnalysisPhaseFailed},
		{"inconclusive", "0", map[string]any{"canaryConfigName": "argo-silent"}, v1alpha1.AnalysisPhaseInconclusive},
		{"error", "0", map[string]any{"canaryConfigName": "argo-broken"}, v1alpha1.AnalysisPhaseInconclusive},
		{"mistake", "0", map[string]any{"thresholds": nil}, v1alpha1.AnalysisPhaseError},
	} {
		t.Run(verdict.name, func(t *testing.T) {
			expect(t, ask(t, "history", verdictBody(verdict.experiment, verdict.members), "{$}", success, failure), verdict.phase, "")
		})
	}
	// A template may read the score alone.
	passed := ask(t, "history", verdictBody("0", nil), "{$.score}", "result >= 90", "result < 75")
	expect(t, passed, v1alpha1.AnalysisPhaseSuccessful, "")
	if passed.Value != "100" {
		t.Error(passed.Value)
	}
}

func TestAVerdictThatIsNotThereYetIsInconclusiveAndAskedForAgain(t *testing.T) {
	body := verdictBody("0", map[string]any{"wait": "1s", "key": fmt.Sprint("argo ", time.Now().UnixNano())})
	var ids []string
	for range 2 {
		measured := ask(t, "unreachable", body, "{$}", `result.pass`, `result.classification == "Fail"`)
		expect(t, measured, v1alpha1.AnalysisPhaseInconclusive, "")
		var told struct{ Classification, CanaryExecutionID string }
		if err := json.Unmarshal([]byte(measured.Value), &told); err != nil {
			t.Fatal(err)
		}
		if told.Classification != "Running" && told.Classification != "Waiting" {
			t.Error(measured.Value)
		}
		ids = append(ids, told.CanaryExecutionID)
	}
	if ids[0] == "" || ids[0] != ids[1] {
		t.Error("another canary was started: ", ids)
	}
	// A score that is not there is an error, which Argo measures again.
	expect(t, ask(t, "unreachable", body, "{$.score}", "result >= 90", "result < 75"), v1alpha1.AnalysisPhaseError, "")
	cancel(t, ids[0])
}

func TestTheWindowIsTheIntervalBeforeNowOrTheRunSoFar(t *testing.T) {
	for _, window := range []struct {
		lookback bool
		length   time.Duration
	}{{false, 10 * time.Minute}, {true, lookedBack}} {
		metric := canary(configName, "0", "0")
		metric.Provider.Kayenta.Lookback = window.lookback
		measured := measure(t, metric)
		expect(t, measured, v1alpha1.AnalysisPhaseSuccessful, "")
		var execution struct {
			CanaryExecutionRequest struct {
				Scopes map[string]struct {
					ControlScope, ExperimentScope struct{ Start, End time.Time }
				}
			}
		}
		get(t, "/canary/"+executionID(measured), &execution)
		scope := execution.CanaryExecutionRequest.Scopes["default"].ControlScope
		if length := scope.End.Sub(scope.Start); length < window.length || window.length+time.Minute < length {
			t.Errorf("the window is %s, not %s", length, window.length)
		}
		if age := time.Since(scope.End); age < 0 || time.Minute < age {
			t.Errorf("the window ended %s ago", age)
		}
	}
}

func TestALookOfSequentialV1FailsForWhatWasSeenAlone(t *testing.T) {
	const success, failure = `result.pass`, `result.classification == "Fail"`
	for _, look := range []struct {
		config, experiment string
		byKayenta, byWeb   v1alpha1.AnalysisPhase
	}{
		{"argo-early-look", "0", v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseSuccessful},
		{"argo-last-look", "0", v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseSuccessful},
		{"argo-early-look", "100", v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseFailed},
		{"argo-last-look", "100", v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseFailed},
		{"argo-early-look-silent", "0", v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseInconclusive},
		{"argo-last-look-silent", "0", v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseInconclusive},
	} {
		t.Run(look.config+" "+look.experiment, func(t *testing.T) {
			metric := canary(look.config, "0", look.experiment)
			metric.Provider.Kayenta.Lookback = true
			expect(t, measure(t, metric), look.byKayenta, "")
			body := verdictBody(look.experiment, map[string]any{"canaryConfigName": look.config, "lookback": "1h"})
			expect(t, ask(t, "history", body, "{$}", success, failure), look.byWeb, "")
		})
	}
}

func TestATimeThatIsGivenSelectsRecordedSeries(t *testing.T) {
	metric := canary("argo-history", "prod", "canary")
	for _, scope := range []*v1alpha1.ScopeDetail{
		&metric.Provider.Kayenta.Scopes[0].ControlScope, &metric.Provider.Kayenta.Scopes[0].ExperimentScope,
	} {
		scope.Region, scope.Start, scope.End, scope.Step = "ns1", "2024-06-01T01:00:00Z", "2024-06-01T02:00:00Z", 60
	}
	expect(t, measure(t, metric), v1alpha1.AnalysisPhaseSuccessful, "")
}

func TestAnAddressMayEndInASlash(t *testing.T) {
	metric := canary(configName, "0", "0")
	metric.Provider.Kayenta.Address += "/"
	expect(t, measure(t, metric), v1alpha1.AnalysisPhaseSuccessful, "")
}

func TestStoresMayBeLeftOutAndOfTwoSourcesOneMustBeNamed(t *testing.T) {
	metric := canary(configName, "0", "0")
	kayenta := metric.Provider.Kayenta
	kayenta.ConfigurationAccountName, kayenta.StorageAccountName = "", ""
	expect(t, measure(t, metric), v1alpha1.AnalysisPhaseSuccessful, "")
	kayenta.MetricsAccountName = ""
	expect(t, measure(t, metric), v1alpha1.AnalysisPhaseError, "Invalid Response")
}

func TestARunWithoutAScoreIsAnError(t *testing.T) {
	measured := measure(t, canary("argo-broken", "0", "0"))
	expect(t, measured, v1alpha1.AnalysisPhaseError, "Missing Score")
	expect(t, web(t, executionID(measured), "result >= 90", "result < 75"), v1alpha1.AnalysisPhaseError, "result is not found")
}

func TestARunThatWaitsForItsSeriesIsRunningUntilItIsCanceled(t *testing.T) {
	metric := canary(configName, "0", "0")
	metric.Provider.Kayenta.MetricsAccountName = "unreachable"
	provider := kayenta.NewKayentaProvider(logger, kayenta.NewHttpClient())
	measured := provider.Run(run, metric)
	measured = provider.Resume(run, metric, measured)
	expect(t, measured, v1alpha1.AnalysisPhaseRunning, "")
	if measured.ResumeAt == nil {
		t.Error("it will not be asked for again")
	}
	cancel(t, executionID(measured))
	expect(t, provider.Resume(run, metric, measured), v1alpha1.AnalysisPhaseError, "Missing Score")
}

func TestWhatCannotStartIsAnError(t *testing.T) {
	for _, mistake := range []struct {
		name    string
		make    func(*v1alpha1.KayentaMetric)
		message string
	}{
		{"no such config", func(m *v1alpha1.KayentaMetric) { m.CanaryConfigName = "nosuch" }, "Canary config not found"},
		{"other application", func(m *v1alpha1.KayentaMetric) { m.Application = "other" }, "Canary config not found"},
		{"space in application", func(m *v1alpha1.KayentaMetric) { m.Application = "a b" }, "HTTP 400"},
		{"no such storage account", func(m *v1alpha1.KayentaMetric) { m.StorageAccountName = "nosuch" }, "HTTP 400"},
		{"no such metrics account", func(m *v1alpha1.KayentaMetric) { m.MetricsAccountName = "nosuch" }, "Invalid Response"},
		{"no such scope", func(m *v1alpha1.KayentaMetric) { m.Scopes[0].Name = "other" }, "Invalid Response"},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			metric := canary(configName, "0", "0")
			mistake.make(metric.Provider.Kayenta)
			expect(t, measure(t, metric), v1alpha1.AnalysisPhaseError, mistake.message)
		})
	}
}

// A metric of an AnalysisTemplate.
func canary(config, control, experiment string) v1alpha1.Metric {
	const step = 15
	return v1alpha1.Metric{
		Name: "canary", Interval: "10m",
		Provider: v1alpha1.MetricProvider{Kayenta: &v1alpha1.KayentaMetric{
			Address: serin, Application: "argo", CanaryConfigName: config,
			MetricsAccountName: "history", ConfigurationAccountName: account, StorageAccountName: account,
			Threshold: v1alpha1.KayentaThreshold{Pass: 90, Marginal: 75},
			Scopes: []v1alpha1.KayentaScope{{Name: "default",
				ControlScope:    v1alpha1.ScopeDetail{Scope: control, Step: step},
				ExperimentScope: v1alpha1.ScopeDetail{Scope: experiment, Step: step}}},
		}},
	}
}

// The measurement once it is finished; the controller waits 15 s between two looks, this does not.
func measure(t *testing.T, metric v1alpha1.Metric) v1alpha1.Measurement {
	t.Helper()
	provider := kayenta.NewKayentaProvider(logger, kayenta.NewHttpClient())
	measured := provider.Run(run, metric)
	for deadline := time.Now().Add(time.Minute); measured.Phase == v1alpha1.AnalysisPhaseRunning; {
		if time.Now().After(deadline) {
			t.Fatal("it does not end: ", measured)
		}
		time.Sleep(50 * time.Millisecond)
		measured = provider.Resume(run, metric, measured)
	}
	return measured
}

func web(t *testing.T, id, success, failure string) v1alpha1.Measurement {
	t.Helper()
	return measureWeb(t, &v1alpha1.WebMetric{
		URL: serin + "/canary/" + id, JSONPath: "{$.result.judgeResult.score.score}",
	}, success, failure)
}

// One request for a verdict.
func ask(t *testing.T, metrics string, body map[string]any, path, success, failure string) v1alpha1.Measurement {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return measureWeb(t, &v1alpha1.WebMetric{
		Method: v1alpha1.WebMetricMethodPost, JSONBody: sent, JSONPath: path, TimeoutSeconds: 60,
		URL: serin + "/canary/verdict?application=argo&configurationAccountName=" + account + "&metricsAccountName=" + metrics,
	}, success, failure)
}

func verdictBody(experiment string, members map[string]any) map[string]any {
	body := map[string]any{
		"canaryConfigName": configName, "controlScope": "0", "experimentScope": experiment,
		"lookback": "10m", "step": 15, "thresholds": thresholds(90, 75), "wait": "50s",
	}
	maps.Copy(body, members)
	return body
}

func thresholds(pass, marginal int) map[string]int {
	return map[string]int{"pass": pass, "marginal": marginal}
}

// Argo sends no cancel; a person does.
func cancel(t *testing.T, id string) {
	t.Helper()
	request, _ := http.NewRequest(http.MethodPut, serin+"/pipelines/"+id+"/cancel", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatal(response, err)
	}
}

func measureWeb(t *testing.T, web *v1alpha1.WebMetric, success, failure string) v1alpha1.Measurement {
	t.Helper()
	metric := v1alpha1.Metric{
		Name: "web", SuccessCondition: success, FailureCondition: failure,
		Provider: v1alpha1.MetricProvider{Web: web},
	}
	parser, err := webmetric.NewWebMetricJsonParser(metric)
	if err != nil {
		t.Fatal(err)
	}
	client, err := webmetric.NewWebMetricHttpClient(metric)
	if err != nil {
		t.Fatal(err)
	}
	return webmetric.NewWebMetricProvider(logger, client, parser).Run(run, metric)
}

func expect(t *testing.T, measured v1alpha1.Measurement, phase v1alpha1.AnalysisPhase, message string) {
	t.Helper()
	if measured.Phase != phase || !strings.Contains(measured.Message, message) {
		t.Errorf("%s (value %q, message %q), not %s (%q)", measured.Phase, measured.Value, measured.Message, phase, message)
	}
}

func executionID(measured v1alpha1.Measurement) string {
	return measured.Metadata["canaryExecutionId"]
}

func metric(name, template string) map[string]any {
	return map[string]any{
		"name": name, "scopeName": "default", "groups": []string{name},
		"query":                  map[string]any{"type": "prometheus", "metricName": name, "customInlineTemplate": template},
		"analysisConfigurations": map[string]any{"canary": map[string]any{"direction": "increase"}},
	}
}

// Stores a config in which every metric has the same weight.
func store(account, name string, metrics ...map[string]any) {
	storeJudged(account, name, nil, metrics...)
}

func storeJudged(account, name string, judge map[string]any, metrics ...map[string]any) {
	weights := map[string]float64{}
	for _, metric := range metrics {
		weights[metric["name"].(string)] = 100 / float64(len(metrics))
	}
	body, err := json.Marshal(map[string]any{
		"name": name, "applications": []string{"argo"}, "metrics": metrics, "judge": judge,
		"classifier": map[string]any{"groupWeights": weights},
	})
	if err != nil {
		panic(err)
	}
	response, err := http.Post(serin+"/canaryConfig?configurationAccountName="+account, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		told, _ := io.ReadAll(response.Body)
		panic(string(told))
	}
}

func get(t *testing.T, path string, into any) {
	t.Helper()
	response, err := http.Get(serin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
