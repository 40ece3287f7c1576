//! The doors for HTTP: the router and what surrounds every request.

mod archive;
mod canary;
mod canary_config;
mod credentials;
mod health;
mod judges;
mod metric_sets;
mod metrics;
mod pipelines;
mod problem;
mod request;
mod standalone;

use std::any::Any;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The document of the API; `openapi/serin.json` is its text.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "serin",
        description = "Judges canaries: the API of Kayenta, served by serin.",
        license(name = "Apache-2.0")
    ),
    tags(
        (name = "canary-config", description = "How to judge"),
        (name = "canary", description = "Start an execution and read its result"),
        (name = "analysis", description = "Canaries over one window after the other"),
        (name = "judges", description = "Judge what has been fetched"),
        (name = "accounts", description = "Where series come from and documents lie"),
        (name = "documents", description = "Metric sets, their pairs, and archived results"),
        (name = "operations", description = "Health and metrics of serin itself"),
    )
)]
struct Api;

/// All routes with their documents.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(
            canary_config::list_canary_configs,
            canary_config::store_canary_config
        ))
        .routes(routes!(
            canary_config::find_canary_config,
            canary_config::update_canary_config,
            canary_config::delete_canary_config
        ))
        .routes(routes!(canary::initiate_adhoc_canary))
        .routes(routes!(canary::list_canary_executions))
        .routes(routes!(
            canary::initiate_canary,
            canary::find_canary_execution,
            canary::cancel_canary_execution
        ))
        .routes(routes!(
            standalone::initiate_adhoc_analysis,
            standalone::list_analyses
        ))
        .routes(routes!(
            standalone::initiate_analysis,
            standalone::find_analysis,
            standalone::cancel_analysis
        ))
        .routes(routes!(archive::list_archives, archive::create_archive))
        .routes(routes!(
            archive::find_archive,
            archive::update_archive,
            archive::delete_archive
        ))
        .routes(routes!(
            metric_sets::list_metric_set_lists,
            metric_sets::store_metric_set_list
        ))
        .routes(routes!(
            metric_sets::find_metric_set_list,
            metric_sets::delete_metric_set_list
        ))
        .routes(routes!(
            metric_sets::list_metric_set_pair_lists,
            metric_sets::store_metric_set_pair_list
        ))
        .routes(routes!(
            metric_sets::find_metric_set_pair_list,
            metric_sets::delete_metric_set_pair_list
        ))
        .routes(routes!(metric_sets::find_metric_set_pair))
        .routes(routes!(judges::list_judges))
        .routes(routes!(judges::judge))
        .routes(routes!(credentials::list_credentials))
        .routes(routes!(credentials::delete_credentials))
        .routes(routes!(metrics::list_metrics_services))
        .routes(routes!(metrics::list_metrics_service_metadata))
        .routes(routes!(metrics::query_prometheus))
        .routes(routes!(pipelines::cancel_pipeline))
        .routes(routes!(health::health))
        .routes(routes!(health::liveness))
        .routes(routes!(health::readiness))
        .routes(routes!(health::metrics))
}

/// The document alone, for `serin openapi` and the test that locks it.
pub fn openapi() -> Document {
    routes().split_for_parts().1
}

/// The service: every route, with limits, time-outs, a request id, and an answer in JSON for
/// whatever goes wrong.
pub fn router(app: &App) -> Router {
    let (routes, document) = routes().split_for_parts();
    let server = &app.config.server;
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(
            TraceLayer::new_for_http().make_span_with(|request: &Request<Body>| {
                let id = request
                    .headers()
                    .get(REQUEST_ID)
                    .and_then(|id| id.to_str().ok());
                tracing::info_span!(
                    "request",
                    http.method = %request.method(),
                    http.path = request.uri().path(),
                    request.id = id,
                )
            }),
        )
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            server.request_timeout,
        ))
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(server.max_body_bytes));
    routes
        .merge(SwaggerUi::new("/swagger-ui").url("/v3/api-docs", document))
        .fallback(answer_unknown_path)
        .method_not_allowed_fallback(answer_unknown_method)
        .layer(middleware::from_fn(count_request))
        .layer(layers)
        .with_state(app.clone())
}

/// Makes paths plain before they are routed: `//canary/` is `/canary`.
pub fn plain_path<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let path = uri.path();
    let trailing = path.len() > 1 && path.ends_with('/') && !path.starts_with("/swagger-ui");
    if !trailing && !path.contains("//") {
        return request;
    }
    let kept: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let slash = if path.starts_with("/swagger-ui") && path.ends_with('/') {
        "/"
    } else {
        ""
    };
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(plain) = format!("/{}{slash}{query}", kept.join("/")).parse::<Uri>() {
        *request.uri_mut() = plain;
    }
    request
}

async fn answer_unknown_path() -> Response {
    Problem::spring(StatusCode::NOT_FOUND, "No message available").into_response()
}

async fn answer_unknown_method(request: Request) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} is not allowed here", request.method()),
    )
    .into_response()
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

async fn count_request(request: Request, next: Next) -> Response {
    let start = std::time::Instant::now();
    let method = request.method().as_str().to_owned();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    ::metrics::counter!("serin_http_requests_total", "method" => method.clone(), "path" => path.clone(), "status" => status)
        .increment(1);
    ::metrics::histogram!("serin_http_request_duration_seconds", "method" => method, "path" => path)
        .record(start.elapsed().as_secs_f64());
    response
}
