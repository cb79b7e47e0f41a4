//! The login that a request had, kept with its answer: kube adds that of a kubeconfig below us, and an API server, or a proxy in front of it, can
//! repeat it in what it says.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};

/// The `Authorization` of the request that an answer is to; one of the answer's extensions.
#[derive(Clone)]
pub(super) struct Sent(pub(super) HeaderValue);

/// Puts it into each answer.
#[derive(Clone)]
pub(super) struct KeepSent<S>(pub(super) S);

impl<S, A, B> tower::Service<Request<A>> for KeepSent<S>
where
    S: tower::Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let sent = request.headers().get(AUTHORIZATION).cloned().map(Sent);
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(sent) = sent {
                answer.extensions_mut().insert(sent);
            }
            Ok(answer)
        })
    }
}
