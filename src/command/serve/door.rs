//! Where clients come in, and what answers them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::answer::{Answer, Coming};
use super::connections::{Connection, Connections};
use super::tls::Tls;
use crate::access::Peer;
use crate::api;
use crate::callers::certificate::Shown;
use crate::clock::Clock;
use crate::config::Server;

/// Bytes of the head of a request; over HTTP/1 of what is read and written at once, too.
const HEAD: u32 = 64 * 1024;

#[derive(Clone)]
pub struct Door {
    router: Router,
    server: Arc<Server>,
    builder: Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
    closing: CancellationToken,
}

impl Door {
    /// # Errors
    /// When the files of `server.tls` cannot be used.
    pub fn new(
        router: Router,
        server: Server,
        closing: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let tls = server.tls.clone().map(Tls::open).transpose()?;
        Ok(Self {
            router,
            builder: builder(&server),
            server: Arc::new(server),
            tls: tls.map(Arc::new),
            closing: closing.clone(),
        })
    }

    /// Takes connections until `closing`, and waits for those that are being answered.
    pub async fn accept(self, listener: TcpListener) {
        let connections = Connections::new(&self.server);
        let driven = TaskTracker::new();
        let serve = async {
            loop {
                let (stream, address) = next(&listener).await;
                let connection = connections.open().await;
                let _ = stream.set_nodelay(true);
                driven.spawn(self.clone().serve(connection, stream, address));
            }
        };
        let look_after_tls = async {
            match &self.tls {
                Some(tls) => tls.look_after().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = serve => {}
            () = connections.look_after() => {}
            () = look_after_tls => {}
            () = self.closing.cancelled() => {}
        }
        drop(listener);
        driven.close();
        driven.wait().await;
    }

    async fn serve(self, connection: Arc<Connection>, stream: TcpStream, address: SocketAddr) {
        let shaken = connection.unless_cut(&self.closing, self.shake(stream));
        match shaken.await {
            Some(Ok((stream, shown))) => {
                let lasts = shown.as_ref().map(lasts);
                let identity = shown.and_then(|shown| shown.identity);
                let peer = Peer {
                    address: address.ip().to_canonical(),
                    certificate: identity.map(Arc::new),
                };
                self.exchange(&connection, stream, peer, lasts).await;
            }
            Some(Err(error)) => tracing::debug!(%error, "a connection did not come about"),
            None => {}
        }
        connection.end();
    }

    /// The stream that HTTP is spoken on.
    async fn shake(
        &self,
        stream: TcpStream,
    ) -> io::Result<(Either<TcpStream, Encrypted>, Option<Shown>)> {
        let Some(tls) = &self.tls else {
            return Ok((Either::Left(stream), None));
        };
        let (stream, shown) = tls.shake(stream).await?;
        Ok((Either::Right(Box::new(stream)), shown))
    }

    async fn exchange(
        &self,
        connection: &Arc<Connection>,
        stream: Either<TcpStream, Encrypted>,
        peer: Peer,
        lasts: Option<Duration>,
    ) {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let (router, server) = (self.router.clone(), Arc::clone(&self.server));
            answer(router, server, Arc::clone(connection), request)
        });
        let exchange = self.builder.serve_connection(TokioIo::new(stream), service);
        connection.drive(exchange, self.closing(lasts)).await;
    }

    /// Until serin ends, or the certificate that the client showed.
    async fn closing(&self, lasts: Option<Duration>) {
        let closing = self.closing.cancelled();
        match lasts {
            Some(lasts) => drop(timeout(lasts, closing).await),
            None => closing.await,
        }
    }
}

type Encrypted = Box<TlsStream<TcpStream>>;

/// For how long from now.
fn lasts(shown: &Shown) -> Duration {
    let left = shown.ends.saturating_sub(Clock::System.now_millis());
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}

fn builder(server: &Server) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD as usize)
        .header_read_timeout(server.header_timeout);
    // A client that is gone says nothing; one that waits for an answer answers a ping.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD)
        .keep_alive_interval(server.idle_timeout / 3)
        .keep_alive_timeout(server.header_timeout);
    builder
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Too many open files, most likely: others must close first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(
    router: Router,
    server: Arc<Server>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let answering = connection.begin();
    let (parts, body) = request.into_parts();
    // HTTP/2 ends what nobody reads by itself.
    let is_read = Version::HTTP_2 <= parts.version || body.is_end_stream();
    let (body, has_come) = if is_read {
        (Body::new(body), None)
    } else {
        let (body, has_come) = Coming::new(body);
        (Body::new(body), Some(has_come))
    };
    let request = api::plain_path(Request::from_parts(parts, body));
    let mut request = if server.gate_aliases {
        api::without_gate(request)
    } else {
        request
    };
    if !connection.may_answer() {
        request.extensions_mut().insert(api::TooMany);
    }
    let mut response = router.oneshot(request).await?;
    if has_come.is_some_and(|has_come| !has_come.load(Ordering::Relaxed)) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    let response = response.map(|body| Answer::new(body, answering, &server));
    connection.watch(response.body().pace());
    Ok(response)
}
