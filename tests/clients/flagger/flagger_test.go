// Flagger's own caller of webhooks and its own Prometheus provider against serin. What they call is
// the exported API of the published module, in the order in which its scheduler asks; SERIN_URL says
// where serin is.
package flagger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	flaggerv1 "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/controller"
	"github.com/fluxcd/flagger/pkg/metrics/providers"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	configName = "flagger-two-metrics"
	// Of scopes that are numbers: the errors are as much higher as the scope says.
	good, bad = "0", "100"
)

var serin = os.Getenv("SERIN_URL")

func TestMain(m *testing.M) {
	if serin == "" {
		panic("SERIN_URL is not set")
	}
	store(configName, metric("load", "PromQL:vector(time() % 77)"), metric("errors", "PromQL:vector(${scope} + time() % 77)"))
	looks := map[string]any{"name": "sequential-v1"}
	told := []map[string]any{
		metric("load", "PromQL:vector(time() % 77)"), metric("errors", "PromQL:vector(${scope} + time() % 77)"),
	}
	storeJudged("flagger-looks", looks, told...)
	storeJudged("flagger-looks-silent", looks, append(told[:2:2], metric("silent", `PromQL:nothing_like_this{version="${scope}"}`))...)
	store("flagger-broken", metric("broken", "PromQL:sum("))
	os.Exit(m.Run())
}

func TestAGoodCanaryIsPromoted(t *testing.T) {
	canary := rollout("good")
	metadata := recorded(good)
	ask(t, canary, flaggerv1.ConfirmRolloutHook, metadata, "")
	ask(t, canary, flaggerv1.RollbackHook, metadata, "No analysis was started")
	ask(t, canary, flaggerv1.PreRolloutHook, metadata, "")
	for interval := 0; interval < 3; interval++ {
		ask(t, canary, flaggerv1.RollbackHook, metadata, refused)
		ask(t, canary, flaggerv1.RolloutHook, metadata, "")
		ask(t, canary, flaggerv1.ConfirmTrafficIncreaseHook, metadata, "")
	}
	if told := decided(t, canary, flaggerv1.ConfirmPromotionHook, metadata); told != "" {
		t.Fatalf("not promoted: %s", told)
	}
	ask(t, canary, flaggerv1.RolloutHook, metadata, "")
	ask(t, canary, flaggerv1.PostRolloutHook, metadata, "")
	ask(t, canary, flaggerv1.ConfirmPromotionHook, nil, "No analysis was started")
}

func TestABadCanaryIsStoppedAndRolledBack(t *testing.T) {
	canary := rollout("bad")
	metadata := recorded(bad)
	ask(t, canary, flaggerv1.PreRolloutHook, metadata, "")
	told := decided(t, canary, flaggerv1.ConfirmPromotionHook, metadata)
	const why = "A score of 50 does not reach the marginal threshold of 75: errors cost 50"
	if !strings.HasPrefix(told, why) {
		t.Errorf("the event would be %q, not %q", told, why)
	}
	ask(t, canary, flaggerv1.RolloutHook, metadata, why)
	ask(t, canary, flaggerv1.ConfirmTrafficIncreaseHook, metadata, why)
	ask(t, canary, flaggerv1.RollbackHook, metadata, "")
	ask(t, canary, flaggerv1.PostRolloutHook, metadata, "")

	// The same revision, rolled out again, is judged again.
	ask(t, canary, flaggerv1.RollbackHook, metadata, "No analysis was started")
	ask(t, canary, flaggerv1.RolloutHook, recorded(good), "")
	if told := decided(t, canary, flaggerv1.ConfirmPromotionHook, nil); told != "" {
		t.Errorf("not promoted: %s", told)
	}
}

func TestAnUndecidedCanaryWaits(t *testing.T) {
	canary := rollout("undecided")
	metadata := recorded(good)
	metadata["metricsAccountName"] = "unreachable"
	ask(t, canary, flaggerv1.RolloutHook, metadata, "")
	for interval := 0; interval < 3; interval++ {
		ask(t, canary, flaggerv1.RollbackHook, metadata, refused)
		ask(t, canary, flaggerv1.RolloutHook, metadata, "")
		ask(t, canary, flaggerv1.ConfirmPromotionHook, metadata, "The analysis is")
	}
	ask(t, canary, flaggerv1.PostRolloutHook, metadata, "")
}

func TestACanaryBetweenTheThresholdsIsNeitherPromotedNorRolledBack(t *testing.T) {
	canary := rollout("marginal")
	metadata := recorded(bad)
	metadata["marginal"] = "40"
	ask(t, canary, flaggerv1.RolloutHook, metadata, "")
	const why = "A score of 50 reaches the marginal threshold of 40, not the pass threshold of 95"
	if told := decided(t, canary, flaggerv1.ConfirmPromotionHook, metadata); !strings.HasPrefix(told, why) {
		t.Errorf("%q, not %q", told, why)
	}
	ask(t, canary, flaggerv1.RolloutHook, metadata, why)
	ask(t, canary, flaggerv1.RollbackHook, metadata, why)
	ask(t, canary, flaggerv1.PostRolloutHook, metadata, "")
}

func TestSequentialV1RollsBackWhatWasSeenAndHaltsWhatWasNotMeasured(t *testing.T) {
	for _, release := range []struct {
		name, config, experiment, promotion, rollback string
	}{
		{"looks-good", "flagger-looks", good, "", refused},
		{"looks-bad", "flagger-looks", bad, "A score of 50 does not reach the marginal threshold of 75", ""},
		{"looks-silent", "flagger-looks-silent", good, "The verdict hangs on silent", refused},
	} {
		t.Run(release.name, func(t *testing.T) {
			canary := rollout(release.name)
			metadata := recorded(release.experiment)
			metadata["canaryConfigName"], metadata["interval"] = release.config, "5m"
			ask(t, canary, flaggerv1.PreRolloutHook, metadata, "")
			told := decided(t, canary, flaggerv1.ConfirmPromotionHook, metadata)
			if (release.promotion == "") != (told == "") || !strings.Contains(told, release.promotion) {
				t.Errorf("%q, not %q", told, release.promotion)
			}
			ask(t, canary, flaggerv1.RolloutHook, metadata, release.promotion)
			ask(t, canary, flaggerv1.RollbackHook, metadata, release.rollback)
			ask(t, canary, flaggerv1.PostRolloutHook, metadata, "")
		})
	}
}

func TestARunWithoutAVerdictStops(t *testing.T) {
	canary := rollout("broken")
	metadata := recorded(good)
	metadata["canaryConfigName"] = "flagger-broken"
	ask(t, canary, flaggerv1.RolloutHook, metadata, "")
	if told := decided(t, canary, flaggerv1.ConfirmPromotionHook, metadata); !strings.HasPrefix(told, "No verdict: ") {
		t.Errorf("%q", told)
	}
	ask(t, canary, flaggerv1.RollbackHook, metadata, "No verdict: ")
}

func TestAMistakeIsTheTextOfTheEventBeforeAnythingMoves(t *testing.T) {
	metadata := recorded(good)
	metadata["experimentScopes"] = good
	ask(t, rollout("mistaken"), flaggerv1.ConfirmRolloutHook, metadata,
		"the metadata key 'experimentScopes' is not known; is 'experimentScope' meant?")
}

func TestEventsAreTaken(t *testing.T) {
	canary := rollout("events")
	hook := flaggerv1.CanaryWebhook{Type: flaggerv1.EventHook, URL: serin + "/flagger/event"}
	if err := controller.CallEventWebhook(&canary, hook, "New revision detected", "Normal"); err != nil {
		t.Error(err)
	}
}

func TestAMetricTemplateGatesOnTheScore(t *testing.T) {
	provider, err := providers.NewPrometheusProvider(
		flaggerv1.MetricTemplateProvider{Type: "prometheus", Address: serin + "/prometheus"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if online, err := provider.IsOnline(); !online || err != nil {
		t.Error("not online: ", err)
	}
	for _, judged := range []struct {
		name, experiment string
		score            float64
	}{{"scored-good", good, 100}, {"scored-bad", bad, 50}} {
		query := fmt.Sprintf(`last_over_time(
			serin_canary_score{application=%q, config=%q}[30m]
		)`, judged.name, configName)
		if _, err := provider.RunQuery(query); err == nil || !strings.Contains(err.Error(), "no values found") {
			t.Errorf("%s before its canary: %v", judged.name, err)
		}
		canary := rollout(judged.name)
		ask(t, canary, flaggerv1.RolloutHook, recorded(judged.experiment), "")
		decided(t, canary, flaggerv1.ConfirmPromotionHook, nil)
		if score, err := provider.RunQuery(query); err != nil || score != judged.score {
			t.Errorf("%s: %v (%v), not %v", judged.name, score, err, judged.score)
		}
	}
	if _, err := provider.RunQuery("sum(serin_canary_score)"); err == nil || !strings.Contains(err.Error(), "is not understood here") {
		t.Error("a sum: ", err)
	}
}

// A canary whose new revision is rolled out, with a checksum of its own.
func rollout(name string) flaggerv1.Canary {
	return flaggerv1.Canary{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "test"},
		Status: flaggerv1.CanaryStatus{
			Phase: flaggerv1.CanaryPhaseProgressing, LastAppliedSpec: fmt.Sprint(name, time.Now().UnixNano()),
		},
	}
}

// The metadata of an analysis of the last ten minutes, so that its verdict comes at once.
func recorded(experiment string) map[string]string {
	now := time.Now().UTC()
	return map[string]string{
		"canaryConfigName": configName, "metricsAccountName": "history",
		"controlScope": "0", "experimentScope": experiment, "step": "15s",
		"startTime": now.Add(-10 * time.Minute).Format(time.RFC3339), "endTime": now.Format(time.RFC3339),
	}
}

const refused = "(analysis "

// Asks as the scheduler does; an empty text is a yes.
func ask(t *testing.T, canary flaggerv1.Canary, hook flaggerv1.HookType, metadata map[string]string, no string) {
	t.Helper()
	told := call(canary, hook, metadata)
	if (no == "") != (told == "") || !strings.Contains(told, no) {
		t.Fatalf("%s of %s: %q, not %q", hook, canary.Name, told, no)
	}
}

// The answer once the analysis does not run any more.
func decided(t *testing.T, canary flaggerv1.Canary, hook flaggerv1.HookType, metadata map[string]string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		told := call(canary, hook, metadata)
		if !strings.HasPrefix(told, "The analysis is") {
			return told
		}
	}
	t.Fatal("it does not end")
	return ""
}

func call(canary flaggerv1.Canary, hook flaggerv1.HookType, metadata map[string]string) string {
	webhook := flaggerv1.CanaryWebhook{Type: hook, Name: "serin", URL: serin + "/flagger/" + string(hook)}
	if metadata != nil {
		webhook.Metadata = &metadata
	}
	if err := controller.CallWebhook(canary, canary.Status.Phase, webhook); err != nil {
		return err.Error()
	}
	return ""
}

func metric(name, template string) map[string]any {
	return map[string]any{
		"name": name, "scopeName": "default", "groups": []string{name},
		"query":                  map[string]any{"type": "prometheus", "metricName": name, "customInlineTemplate": template},
		"analysisConfigurations": map[string]any{"canary": map[string]any{"direction": "increase"}},
	}
}

// Stores a config in which every metric has the same weight.
func store(name string, metrics ...map[string]any) {
	storeJudged(name, nil, metrics...)
}

func storeJudged(name string, judge map[string]any, metrics ...map[string]any) {
	weights := map[string]float64{}
	for _, metric := range metrics {
		weights[metric["name"].(string)] = 100 / float64(len(metrics))
	}
	body, err := json.Marshal(map[string]any{
		"name": name, "applications": []string{"flagger"}, "metrics": metrics, "judge": judge,
		"classifier": map[string]any{"groupWeights": weights},
	})
	if err != nil {
		panic(err)
	}
	response, err := http.Post(serin+"/canaryConfig", "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		told, _ := io.ReadAll(response.Body)
		panic(string(told))
	}
}
