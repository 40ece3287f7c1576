import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.jakewharton.retrofit.Ok3Client;
import com.netflix.spinnaker.config.OkHttp3ClientConfiguration;
import com.netflix.spinnaker.kork.retrofit.exceptions.SpinnakerHttpException;
import com.netflix.spinnaker.kork.retrofit.exceptions.SpinnakerRetrofitErrorHandler;
import com.netflix.spinnaker.orca.api.pipeline.models.ExecutionStatus;
import com.netflix.spinnaker.okhttp.OkHttpClientConfigurationProperties;
import com.netflix.spinnaker.orca.jackson.OrcaObjectMapper;
import java.io.File;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import okhttp3.OkHttpClient;
import retrofit.RestAdapter;
import retrofit.converter.JacksonConverter;
import retrofit.http.Body;
import retrofit.http.GET;
import retrofit.http.POST;
import retrofit.http.PUT;
import retrofit.http.Path;
import retrofit.http.Query;

/**
 * The life of a canary stage as Orca lives it: its own object mapper and error handler, its HTTP
 * client, and records that miss a member where Orca would fail without it. SERIN_URL says where
 * serin is; ORCA_STORES, where a key store and a trust store lie that Orca is to show and to believe.
 */
public class StageLife {
  record Scope(String scope, String location, @JsonProperty(required = true) Instant start,
      @JsonProperty(required = true) Instant end, Long step, Map<String, String> extendedScopeParams) {}
  record Scopes(@JsonProperty(required = true) Scope controlScope, @JsonProperty(required = true) Scope experimentScope) {}
  record Thresholds(@JsonProperty(required = true) int pass, @JsonProperty(required = true) int marginal) {}
  record Request(Map<String, Scopes> scopes, @JsonProperty(required = true) Thresholds thresholds, Map<String, Object> siteLocal) {}
  record Stats(int count) {}
  record Side(@JsonProperty(required = true) Stats stats) {}
  record Metric(@JsonProperty(required = true) Side controlMetadata) {}
  record Score(int score, @JsonProperty(required = true) String classification, @JsonProperty(required = true) String classificationReason) {}
  record Judged(@JsonProperty(required = true) Score score, @JsonProperty(required = true) Metric[] results) {}
  record Result(@JsonProperty(required = true) Judged judgeResult, Duration canaryDuration) {}
  record Execution(boolean complete, @JsonProperty(required = true) String status, Result result, Instant buildTimeIso,
      Instant startTimeIso, Instant endTimeIso, String storageAccountName, @JsonProperty(required = true) String application,
      Request canaryExecutionRequest, Map<String, Object> exception) {
    /** Orca fails on a name that it does not know. */
    ExecutionStatus orcaStatus() {
      return ExecutionStatus.valueOf(status.toUpperCase());
    }

    int score() {
      return result.judgeResult().score().score();
    }
  }
  record Credential(@JsonProperty(required = true) String name, @JsonProperty(required = true) String type) {}
  record Config(@JsonProperty(required = true) String id, @JsonProperty(required = true) String name, Long updatedTimestamp,
      @JsonProperty(required = true) List<String> applications) {}

  interface Kayenta {
    @POST("/canary/{id}")
    Map<String, Object> create(@Path("id") String config, @Query("application") String application,
        @Query("parentPipelineExecutionId") String parent, @Query("metricsAccountName") String metrics,
        @Query("configurationAccountName") String configs, @Query("storageAccountName") String storage, @Body Request request);

    @GET("/canary/{id}")
    Execution execution(@Query("storageAccountName") String storage, @Path("id") String id);

    @PUT("/pipelines/{id}/cancel")
    Map<String, Object> cancel(@Path("id") String id, @Body String nothing);

    @GET("/credentials")
    List<Credential> credentials();

    @GET("/canaryConfig")
    List<Config> configs();

    /** Not one of Orca's calls: a person stores the config. */
    @POST("/canaryConfig")
    Map<String, Object> store(@Body Map<String, Object> config);
  }

  static final String APPLICATION = "orca";
  static final Thresholds THRESHOLDS = new Thresholds(95, 75);
  static final ObjectMapper mapper = OrcaObjectMapper.newInstance().disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);
  static final Kayenta serin = new RestAdapter.Builder()
      .setEndpoint(Objects.requireNonNull(System.getenv("SERIN_URL"), "SERIN_URL is not set"))
      .setClient(new Ok3Client(client()))
      .setConverter(new JacksonConverter(mapper))
      .setErrorHandler(SpinnakerRetrofitErrorHandler.getInstance())
      .build()
      .create(Kayenta.class);

  /** As Orca makes it of what stands below `ok-http-client`. */
  static OkHttpClient client() {
    OkHttpClientConfigurationProperties properties = new OkHttpClientConfigurationProperties();
    properties.setPropagateSpinnakerHeaders(false);
    String stores = System.getenv("ORCA_STORES");
    if (stores != null) {
      properties.setKeyStore(new File(stores, "orca.p12"));
      properties.setKeyStoreType("PKCS12");
      properties.setKeyStorePassword("changeit");
      properties.setTrustStore(new File(stores, "trust.p12"));
      properties.setTrustStoreType("PKCS12");
      properties.setTrustStorePassword("changeit");
    }
    return new OkHttp3ClientConfiguration(properties).create().build();
  }

  /** A stage of three hours; it ends early where a run is not above the marginal threshold. */
  static List<Execution> stage(String config, String control, String experiment) throws Exception {
    // What is planned at a time of its own has nine digits.
    Instant start = Instant.parse("2024-06-01T01:00:00.123456789Z");
    List<Execution> runs = new ArrayList<>();
    for (int interval = 1; interval <= 3; interval++) {
      Request request = request(control, experiment, start, start.plus(Duration.ofHours(interval)));
      String id = create(config, "history", request);
      Execution run = poll(id, Execution::complete);
      check(run.canaryExecutionRequest().equals(request), "the request comes back as it was sent: " + run.canaryExecutionRequest());
      runs.add(run);
      if (run.orcaStatus() != ExecutionStatus.SUCCEEDED || run.score() <= THRESHOLDS.marginal()) {
        break;
      }
    }
    return runs;
  }

  public static void main(String[] arguments) throws Exception {
    String gauge = store("orca-gauge", "version=\"${scope}\",namespace=\"${location}\"");
    String promql = store("orca-promql", "PromQL:vector(${scope} + time() % 77)");
    String broken = store("orca-broken", "PromQL:sum(");

    test("the config of a stage is found by its name", () -> {
      List<Config> found = serin.configs().stream()
          .filter(config -> config.name().equals("orca-gauge") && config.applications().contains(APPLICATION)).toList();
      check(found.size() == 1 && found.get(0).id().equals(gauge), found);
    });

    test("the type of a metrics account is told", () ->
        check(serin.credentials().contains(new Credential("history", "prometheus")), serin.credentials()));

    test("a healthy canary is judged in every interval, over a growing window", () -> {
      List<Execution> runs = stage(gauge, "prod", "prod");
      check(runs.size() == 3, runs);
      for (int hours = 1; hours <= runs.size(); hours++) {
        Execution run = runs.get(hours - 1);
        check(run.orcaStatus() == ExecutionStatus.SUCCEEDED && run.score() == 100, run);
        check(run.result().canaryDuration().equals(Duration.ofHours(hours)), run.result().canaryDuration());
        check(run.application().equals(APPLICATION) && run.storageAccountName().equals("reports"), run);
        check(!run.endTimeIso().isBefore(run.startTimeIso()) && !run.startTimeIso().isBefore(run.buildTimeIso()), run);
        // Fewer than 50 and Orca warns.
        check(run.result().judgeResult().results()[0].controlMetadata().stats().count() >= 50, run);
      }
    });

    test("a bad canary is judged once", () -> {
      List<Execution> runs = stage(promql, "0", "100");
      check(runs.size() == 1 && runs.get(0).orcaStatus() == ExecutionStatus.SUCCEEDED, runs);
      Score score = runs.get(0).result().judgeResult().score();
      check(score.equals(new Score(0, "Fail", "")), score);
    });

    test("a canary without series is judged once, with a reason", () -> {
      List<Execution> runs = stage(gauge, "prod", "nosuch");
      check(runs.size() == 1 && runs.get(0).orcaStatus() == ExecutionStatus.SUCCEEDED, runs);
      Score score = runs.get(0).result().judgeResult().score();
      check(score.score() == 0 && score.classificationReason().contains("NODATA"), score);
    });

    test("a stage by sequential-v1 stops at the look that sees it, and never for one that is not decided", () -> {
      String told = storeLooks("orca-looks", List.of("PromQL:vector(time() % 77)", "PromQL:vector(${scope} + time() % 77)"));
      String silent = storeLooks("orca-looks-silent", List.of(
          "PromQL:vector(time() % 77)", "PromQL:vector(${scope} + time() % 77)", "PromQL:nothing_like_this{version=\"${scope}\"}"));
      List<Execution> good = stage(told, "0", "0");
      check(good.size() == 3 && good.stream().allMatch(run -> run.score() == 100), good);
      List<Execution> bad = stage(told, "0", "100");
      check(bad.size() == 1 && bad.get(0).score() <= THRESHOLDS.marginal(), bad);
      List<Execution> unmeasured = stage(silent, "0", "0");
      check(unmeasured.size() == 3 && unmeasured.get(0).score() == 100 && unmeasured.get(1).score() == 100, unmeasured);
      int last = unmeasured.get(2).score();
      check(THRESHOLDS.marginal() < last && last < THRESHOLDS.pass(), last);
    });

    test("a query that is refused ends the stage, and the stage shows why", () -> {
      Execution run = poll(create(broken, "history", request("prod", "canary")), Execution::complete);
      check(run.orcaStatus() == ExecutionStatus.TERMINAL && run.orcaStatus().isHalt(), run);
      check(run.exception().keySet().containsAll(List.of("timestamp", "exceptionType", "operation", "details", "shouldRetry")), run.exception());
      Map<?, ?> details = (Map<?, ?>) run.exception().get("details");
      check(details.get("error") instanceof String && details.get("errors") instanceof List, details);
      check(details.get("errors").toString().contains("parse error"), details);
    });

    test("a stage that is canceled stops its run", () -> {
      String id = create(gauge, "unreachable", request("prod", "canary"));
      Execution live = poll(id, run -> run.orcaStatus() != ExecutionStatus.NOT_STARTED);
      check(live.orcaStatus() == ExecutionStatus.RUNNING && !live.complete() && live.result() == null, live);
      serin.cancel(id, "");
      Execution canceled = serin.execution("reports", id);
      check(canceled.orcaStatus() == ExecutionStatus.CANCELED && canceled.complete(), canceled);
      check(canceled.endTimeIso() != null, canceled);
      serin.cancel(id, "");
      check(serin.execution("reports", id).orcaStatus() == ExecutionStatus.CANCELED, "a second cancel changes nothing");
    });

    test("a cancel that comes after the verdict leaves it", () -> {
      String id = create(promql, "history", request("0", "0"));
      poll(id, Execution::complete);
      serin.cancel(id, "");
      check(serin.execution("reports", id).orcaStatus() == ExecutionStatus.SUCCEEDED, id);
    });

    test("stores may be left out, and of two sources one must be named", () -> {
      String id = (String) serin.create(promql, APPLICATION, null, "history", null, null, request("0", "0")).get("canaryExecutionId");
      check(poll(id, Execution::complete).score() == 100, id);
      refused(400, "'history', 'unreachable'", false, () -> serin.create(promql, APPLICATION, null, null, null, null, request("0", "0")));
    });

    test("what cannot start or cannot be found fails with a status and words that Orca shows", () -> {
      Request request = request("prod", "canary");
      refused(404, "nosuch", false, () -> create("nosuch", "history", request));
      refused(400, "nosuch", false, () -> create(gauge, "nosuch", request));
      refused(400, "default", false, () -> create(gauge, "history", new Request(Map.of("other", request.scopes().get("default")), THRESHOLDS, Map.of())));
      refused(404, "01ARZ3NDEKTSV4RRFFQ69G5FAV", false, () -> serin.execution("reports", "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
      refused(400, "nosuch", false, () -> serin.execution("nosuch", "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
      refused(404, "01ARZ3NDEKTSV4RRFFQ69G5FAV", false, () -> serin.cancel("01ARZ3NDEKTSV4RRFFQ69G5FAV", ""));
    });

    System.out.println(failed == 0 ? "all is well" : failed + " failed");
    System.exit(failed == 0 ? 0 : 1);
  }

  interface Call {
    void run() throws Exception;
  }

  static int failed = 0;

  static void test(String sentence, Call call) {
    try {
      call.run();
      System.out.println("ok      " + sentence);
    } catch (Throwable error) {
      failed++;
      System.out.println("FAILED  " + sentence);
      error.printStackTrace(System.out);
    }
  }

  static void check(boolean holds, Object seen) {
    if (!holds) {
      throw new AssertionError(String.valueOf(seen));
    }
  }

  /** Kork's error handler tells the status and finds the message in the body. */
  static void refused(int status, String words, boolean retried, Call call) throws Exception {
    try {
      call.run();
    } catch (SpinnakerHttpException error) {
      check(error.getResponseCode() == status, error.getMessage());
      check(error.getMessage().contains(words), error.getMessage());
      Map<String, Object> body = error.getResponseBody();
      check(body != null && body.get("message") instanceof String, body);
      return;
    }
    throw new AssertionError("it was not refused with " + status);
  }

  static Execution poll(String id, Predicate<Execution> reached) throws Exception {
    for (long deadline = System.currentTimeMillis() + 30_000; System.currentTimeMillis() < deadline; Thread.sleep(50)) {
      Execution execution = serin.execution("reports", id);
      if (reached.test(execution)) {
        return execution;
      }
    }
    throw new AssertionError(id + " does not get there");
  }

  static String create(String config, String metrics, Request request) {
    return (String) serin.create(config, APPLICATION, "a-pipeline", metrics, null, "reports", request).get("canaryExecutionId");
  }

  static Request request(String control, String experiment) {
    return request(control, experiment, Instant.parse("2024-06-01T01:00:00Z"), Instant.parse("2024-06-01T02:00:00Z"));
  }

  static Request request(String control, String experiment, Instant start, Instant end) {
    Scope controlScope = new Scope(control, "ns1", start, end, 60L, Map.of());
    Scope experimentScope = new Scope(experiment, "ns1", start, end, 60L, Map.of());
    return new Request(Map.of("default", new Scopes(controlScope, experimentScope)), THRESHOLDS, Map.of());
  }

  /** A config by the judge that looks as often as the stage does; its metrics weigh the same. */
  static String storeLooks(String name, List<String> templates) {
    List<Map<String, Object>> metrics = new ArrayList<>();
    for (String template : templates) {
      metrics.add(Map.of(
          "name", "m" + metrics.size(), "scopeName", "default", "groups", List.of("all"),
          "query", Map.of("type", "prometheus", "customInlineTemplate", template),
          "analysisConfigurations", Map.of("canary", Map.of("direction", "increase"))));
    }
    return (String) serin.store(Map.of(
        "name", name, "applications", List.of(APPLICATION), "metrics", metrics,
        "judge", Map.of("name", "sequential-v1", "judgeConfigurations", Map.of("lifetimeMins", 180)),
        "classifier", Map.of("groupWeights", Map.of("all", 100)))).get("canaryConfigId");
  }

  /** A config of one metric. */
  static String store(String name, String template) {
    Map<String, Object> metric = Map.of(
        "name", "cpu", "scopeName", "default", "groups", List.of("all"),
        "query", Map.of("type", "prometheus", "metricName", "cpu_usage", "customInlineTemplate", template),
        "analysisConfigurations", Map.of("canary", Map.of("direction", "increase")));
    return (String) serin.store(Map.of(
        "name", name, "applications", List.of(APPLICATION), "metrics", List.of(metric),
        "classifier", Map.of("groupWeights", Map.of("all", 100)))).get("canaryConfigId");
  }
}
