//! What surrounds every request: an id, a span, limits, headers, and an answer in JSON for
//! whatever goes wrong.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::{Instrument, Span};

use super::bodies::Bodies;
use super::documents::Documents;
use super::hosts::Hosts;
use super::problem::Problem;
use super::{TooMany, audit, callers, gate, refusal};
use crate::app::App;
use crate::callers::Callers;
use crate::config::Server;
use crate::telemetry::traces;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing of an answer of the API is a page.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What the vendored Swagger UI needs: its own files, styles and pictures that it makes itself,
/// and calls to serin.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What is looked at before a request is read.
pub struct Edge {
    pub hosts: Hosts,
    pub bodies: Bodies,
    pub documents: Documents,
    pub callers: Arc<Callers>,
    /// Where refusals are recorded.
    pub record: Option<App>,
}

pub fn surround<S>(routes: Router<S>, server: &Server, edge: Edge) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let limit = server.request_timeout;
    let lines = Arc::<refusal::Lines>::default();
    let Edge {
        hosts,
        bodies,
        documents,
        callers,
        record,
    } = edge;
    let record = record.map(|app| {
        middleware::from_fn(move |request: Request, next: Next| {
            audit::of_request(app.clone(), request, next)
        })
    });
    let cors = server.cors.then(|| middleware::from_fn(allow_origin));
    routes.layer(
        ServiceBuilder::new()
            .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(TraceLayer::new_for_http().make_span_with(span))
            .layer(middleware::from_fn(count_request))
            .option_layer(cors)
            .layer(middleware::from_fn(protect))
            .layer(CompressionLayer::new())
            .option_layer(record)
            // Outside of all that refuses.
            .layer(middleware::from_fn(gate::answer_as_gate))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                refusal::log(Arc::clone(&lines), request, next)
            }))
            .layer(CatchPanicLayer::custom(answer_panic))
            .layer(middleware::from_fn(refuse_too_many))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                hosts.clone().check(request, next)
            }))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                answer_in_time(limit, request, next)
            }))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                callers::know(Arc::clone(&callers), request, next)
            }))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                bodies.clone().read(request, next)
            }))
            .layer(DefaultBodyLimit::max(server.max_body_bytes))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                documents.clone().bound(request, next)
            })),
    )
}

fn span(request: &Request<Body>) -> Span {
    let id = request.headers().get(REQUEST_ID);
    tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.path = request.uri().path(),
        request.id = id.and_then(|id| id.to_str().ok()),
        caller = tracing::field::Empty,
    )
}

async fn count_request(request: Request, next: Next) -> Response {
    let start = std::time::Instant::now();
    let method = counted_method(request.method());
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = traced(method, &path, &request);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let status = response.status().as_u16().to_string();
    ::metrics::counter!("serin_http_requests_total", "method" => method, "path" => path.clone(), "status" => status)
        .increment(1);
    ::metrics::histogram!("serin_http_request_duration_seconds", "method" => method, "path" => path)
        .record(start.elapsed().as_secs_f64());
    response
}

/// Probes ask all the time, and begin nothing.
fn traced(method: &str, route: &str, request: &Request) -> Span {
    if route.starts_with("/health") || route == "/metrics" {
        return Span::none();
    }
    traces::of_request(method, route, request.headers())
}

/// A label stays for ever, and a client may make up methods.
fn counted_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

/// The headers that Kayenta gives to every request with an origin, and its answer to a preflight.
async fn allow_origin(request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::OK.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "POST, GET, OPTIONS, DELETE, PUT, PATCH",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "x-requested-with, content-type",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// Headers that keep a browser from making more of an answer than it is.
async fn protect(request: Request, next: Next) -> Response {
    let is_page = request.uri().path().starts_with("/swagger-ui");
    let mut response = next.run(request).await;
    let headers = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With less, a browser does not say of a form that it comes from serin's own page.
        (header::REFERRER_POLICY, "same-origin"),
        (
            header::CACHE_CONTROL,
            // The files of the page have a tag, and change with serin only.
            if is_page { "no-cache" } else { "no-store" },
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            if is_page { PAGE_POLICY } else { API_POLICY },
        ),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn refuse_too_many(request: Request, next: Next) -> Response {
    if request.extensions().get::<TooMany>().is_none() {
        return next.run(request).await;
    }
    let told = "too many requests are being answered (server.maxConnections); the same call may go through later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, told).into_response()
}

/// 504, not 503: a POST may have begun something, and Orca sends a POST again after a 503.
async fn answer_in_time(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::spring(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {limit:?}; what the request began may go on"),
        )
        .into_response(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer asks for it")]
fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panic");
    tracing::error!(panic = what, "a request panicked");
    Problem::spring(
        StatusCode::INTERNAL_SERVER_ERROR,
        "serin met a defect of its own; the log has it under this x-request-id",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::routing::get;
    use serde_json::Value;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{Access, LoadOptions, load_from};

    fn server() -> Server {
        let loaded = load_from(&LoadOptions::default(), &BTreeMap::new()).unwrap();
        Server {
            request_timeout: Duration::from_millis(20),
            ..loaded.config.server
        }
    }

    async fn ask(server: &Server, request: Request) -> (StatusCode, axum::http::HeaderMap, Value) {
        let routes = Router::new()
            .route("/fine", get(async || "{}"))
            .route("/panics", get(async || -> &str { panic!("of the test") }))
            .route("/slow", get(async || std::future::pending::<()>().await));
        let edge = Edge {
            hosts: Hosts::new(server, [0, 0, 0, 0].into()),
            bodies: Bodies::new(server, CancellationToken::new()),
            documents: Documents::of(server.answer_memory),
            callers: Arc::new(Callers::open(&Access::default(), None, Clock::System).unwrap()),
            record: None,
        };
        let routes = surround(routes, server, edge);
        let response = routes.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (parts.status, parts.headers, body)
    }

    fn request(method: &str, path: &str) -> Request {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "serin")
            .header("origin", "http://example.com")
            .body(Body::empty())
            .unwrap()
    }

    #[tokio::test]
    async fn what_goes_wrong_is_answered_with_a_message_and_an_id() {
        for (path, expected, text) in [
            ("/panics", 500, "serin met a defect of its own"),
            ("/slow", 504, "no answer within 20ms"),
        ] {
            let (status, headers, body) = ask(&server(), request("GET", path)).await;
            assert_eq!(status.as_u16(), expected, "{path}");
            assert_eq!(body["status"], expected);
            let message = body["message"].as_str().unwrap();
            assert!(message.starts_with(text), "{message}");
            assert!(headers.contains_key("x-request-id"), "{path}");
            assert_eq!(headers["x-frame-options"], "DENY", "{path}");
            assert!(!headers.contains_key("retry-after"), "{path}");
        }
    }

    #[tokio::test]
    async fn other_origins_are_allowed_only_when_configured() {
        let strict = server();
        let (_, headers, _) = ask(&strict, request("GET", "/fine")).await;
        assert!(!headers.contains_key("access-control-allow-origin"));
        let (status, _, _) = ask(&strict, request("OPTIONS", "/fine")).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);

        let open = Server {
            cors: true,
            ..server()
        };
        for (method, path, expected) in [
            ("GET", "/fine", 200),
            ("OPTIONS", "/fine", 200),
            ("GET", "/panics", 500),
        ] {
            let (status, headers, _) = ask(&open, request(method, path)).await;
            assert_eq!(status.as_u16(), expected, "{method} {path}");
            assert_eq!(headers["access-control-allow-origin"], "http://example.com");
            assert_eq!(headers["access-control-max-age"], "3600");
            assert_eq!(
                headers["access-control-allow-methods"],
                "POST, GET, OPTIONS, DELETE, PUT, PATCH"
            );
            assert_eq!(
                headers["access-control-allow-headers"],
                "x-requested-with, content-type"
            );
        }
    }
}
