//! Traces: request, execution and query, sent to a collector by OTLP over HTTP. Off unless there is one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{
    Bytes, HeaderExtractor, HeaderInjector, HttpClient, HttpError, Request, Response,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::header::HeaderMap;
use tokio::runtime::Handle;
use tracing::field::Empty;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::VERSION;
use crate::error::{Error, Result};
use crate::http;

/// Of the spans that are sent. Others are the log's alone: what they hold is not for a collector.
const TARGET: &str = "serin::traces";

/// W3C's name of the member and the header.
const TRACEPARENT: &str = "traceparent";

/// How long the collector may take for what it is sent, and for the last of it.
const LIMIT: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(2);

/// What sends spans: from a thread of its own, out of a queue of 2,048; beyond, they are dropped.
#[derive(Clone)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends to `/v1/traces` below that address. Headers, sampling and the queue are as OpenTelemetry's own
    /// variables have them.
    ///
    /// # Errors
    /// `Internal` when a client or a header cannot be made.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn open(endpoint: &Url) -> Result<Self> {
        let cannot =
            |why: &dyn std::fmt::Display| Error::Internal(format!("traces cannot be sent: {why}"));
        let client = http::client().timeout(LIMIT);
        let client = http::trusting(client, endpoint.scheme(), Vec::new());
        let collector = Collector {
            client: client.build().map_err(|error| cannot(&error))?,
            runtime: Handle::current(),
            is_away: Arc::default(),
        };
        let base = endpoint.as_str().trim_end_matches('/');
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/traces"))
            .build()
            .map_err(|error| cannot(&error))?;
        let resource = Resource::builder()
            .with_service_name("serin")
            .with_attribute(KeyValue::new("service.version", VERSION));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("serin"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(is_of_trace))
    }

    /// Sends what has not been sent, for a moment.
    pub async fn close(self) {
        let closing = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST));
        // What a collector did not take is told by then.
        let _ = closing.await;
    }
}

/// Whether it is for traces and not for the log.
pub fn is_of_trace(span: &Metadata<'_>) -> bool {
    span.target() == TARGET
}

/// A request, below the span that its headers name.
pub fn of_request(method: &str, route: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        begin_below(&span, parent);
    }
    span
}

/// One attempt of an execution, below what accepted it.
pub fn of_execution(
    kind: &'static str,
    id: &str,
    application: &str,
    traceparent: Option<&str>,
) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "execution",
        otel.name = kind,
        otel.status_code = Empty,
        serin.execution.id = id,
        serin.application = application,
        serin.outcome = Empty,
        serin.score = Empty,
    );
    if let (false, Some(traceparent)) = (span.is_disabled(), traceparent) {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        begin_below(&span, TraceContextPropagator::new().extract(&carrier));
    }
    span
}

/// A query of one side of a metric.
pub fn of_query(source: &'static str, metric: &str, side: &'static str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "query",
        otel.kind = "client",
        otel.status_code = Empty,
        serin.source = source,
        serin.metric = metric,
        serin.side = side,
        serin.series = Empty,
        serin.points = Empty,
    )
}

/// The span that is current, for who goes on with it later.
pub fn current() -> Option<String> {
    let context = current_context()?;
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Tells whom serin asks which span asks.
pub fn send_on(headers: &mut HeaderMap) {
    if let Some(context) = current_context() {
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    }
}

fn current_context() -> Option<Context> {
    let span = Span::current();
    let is_sent = span.metadata().is_some_and(is_of_trace);
    let context = is_sent.then(|| span.context())?;
    let is_valid = context.span().span_context().is_valid();
    is_valid.then_some(context)
}

fn begin_below(span: &Span, parent: Context) {
    // A span without a parent begins a trace.
    let _ = span.set_parent(parent);
}

/// The way to the collector: serin's own client, so that there is one kind of TLS.
#[derive(Clone, Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    is_away: Arc<AtomicBool>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        // The thread that sends has no runtime.
        let sent = self
            .runtime
            .spawn(async move { client.execute(request).await });
        let answer = match sent.await? {
            Ok(answer) => answer,
            Err(error) => {
                let error = error.without_url();
                self.heard(Err(http::in_words(&error)));
                return Err(error.into());
            }
        };
        let status = answer.status();
        self.heard(if status.is_success() {
            Ok(())
        } else {
            Err(format!("it answers {status}"))
        });
        // What it says beside its status is of no use here, and may be long.
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}

impl Collector {
    /// Told once until it takes something again.
    fn heard(&self, taken: Result<(), String>) {
        let was_away = self.is_away.swap(taken.is_err(), Ordering::Relaxed);
        match taken {
            Err(why) if !was_away => {
                tracing::warn!(
                    why,
                    "the collector of traces takes none; they are lost, and canaries go on"
                );
            }
            Ok(()) if was_away => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}
