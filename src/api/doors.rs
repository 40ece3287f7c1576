//! Doors by a list, of which both their routes and what the document says of them are made.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter};
use utoipa::Path;
use utoipa::openapi::HttpMethod;

use crate::app::App;

/// Makes a function with the routes, and a type whose `openapi` describes them. What is shipped calls the function
/// alone, so that the linker leaves all descriptions out.
macro_rules! doors {
    ($(#[$about:meta])* $routes:ident, $described:ident: $($room:ident::$door:ident),+ $(,)?) => {
        $(#[$about])*
        fn $routes() -> Router<App> {
            let routes = Router::new();
            pastey::paste! {
                $(let routes = doors::with::<$room::[<__path_ $door>], _, _>(routes, &$room::$door);)+
            }
            routes
        }

        #[derive(OpenApi)]
        #[openapi(paths($($room::$door),+))]
        struct $described;
    };
}

pub(super) use doors;

/// With a door at the path and for the methods that its description has.
pub fn with<P: Path, H: Handler<T, App>, T: 'static>(routes: Router<App>, door: &H) -> Router<App> {
    let methods = P::methods().into_iter();
    let doors = methods.fold(MethodRouter::new(), |doors, method| {
        doors.on(filter(&method), door.clone())
    });
    routes.route(&P::path(), doors)
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}
