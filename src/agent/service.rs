//! The routes, and what happens on them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio::time::timeout;

use super::{Asked, Log, Peer, Policy, Refusal, request};
use crate::pipeline::look_up;
use crate::registry::client::Client;
use crate::sign::remote::wire::{self, HealthAnswer, MAX_BODY_BYTES, PublicKeyAnswer, SignAnswer};
use crate::sign::{Signature, Signer};

/// Bodies up to this size need no share of the budget: whoever sends slow and long ones keeps no image signature waiting.
const SMALL_BODY_BYTES: usize = 32 * 1024;
/// How many bytes of longer bodies are held at once. A body is there three times for a moment: as it came, decoded, signed.
const BODY_BUDGET_BYTES: usize = 2 * MAX_BODY_BYTES;
/// What the budget is counted in.
const BUDGET_UNIT: usize = 1024;

/// A path and its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Signs a payload.
    Sign,
    /// Makes an image's payload and signs it.
    SignImage,
    /// The public key.
    PublicKey,
    /// Whether it is well.
    Health,
}

/// Every path with its method.
pub const ROUTES: [(&str, &str, Route); 4] = [
    ("POST", wire::SIGN, Route::Sign),
    ("POST", wire::SIGN_IMAGE, Route::SignImage),
    ("GET", wire::PUBLIC_KEY, Route::PublicKey),
    ("GET", wire::HEALTH, Route::Health),
];

/// Everything that requests are answered with.
#[derive(Debug)]
pub struct Agent {
    signer: Arc<dyn Signer>,
    client: Client,
    policy: Policy,
    pub(super) log: Log,
    /// How long a request may take.
    limit: Duration,
    bodies: Arc<Semaphore>,
    /// Held for reading by every request that is being decided.
    working: Arc<RwLock<()>>,
}

/// A request's body, and its share of the budget until what became of it is answered.
struct Body {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

pub(super) type Answer = Response<Full<Bytes>>;

impl Agent {
    /// An agent that signs with `signer` under `policy`, looks images up with `client`, and gives each request `limit`.
    pub fn new(signer: Arc<dyn Signer>, client: Client, policy: Policy, log: Log, limit: Duration) -> Self {
        let bodies = Arc::new(Semaphore::new(BODY_BUDGET_BYTES / BUDGET_UNIT));
        Self { signer, client, policy, log, limit, bodies, working: Arc::default() }
    }

    /// Waits until nothing is being decided, also for clients that have gone.
    pub(super) async fn idle(&self) {
        drop(self.working.write().await);
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Answers one request.
    pub(super) async fn answer(self: &Arc<Self>, peer: Option<Peer>, request: Request<Incoming>) -> Answer {
        let begun = Instant::now();
        let name = format!("{} {}", request.method(), request.uri().path());
        let answer = match route(&request) {
            Ok(Route::Health) => json(&HealthAnswer {
                status: "ok".to_owned(),
                signatures: self.policy.given(),
                max_signatures: self.policy.most(),
            }),
            Ok(Route::PublicKey) => self.public_key(),
            Ok(route) => {
                let reading = self.body(request);
                match timeout(self.limit, reading).await.unwrap_or(Err(Refusal::Cut)) {
                    // What is begun is finished and told, whether the client waits for it or not.
                    Ok(body) => {
                        let agent = Arc::clone(self);
                        let working = Arc::clone(&self.working).read_owned().await;
                        let decided = async move {
                            let answer = agent.decide(peer, &name, route, body, begun).await;
                            drop(working);
                            answer
                        };
                        return tokio::spawn(decided).await.unwrap_or_else(|_| refused(&Refusal::Internal));
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(|refusal| {
            self.log.decision(peer, &name, None, Some(&refusal), millis(begun));
            refused(&refusal)
        })
    }

    fn public_key(&self) -> Result<Answer, Refusal> {
        let key = self.signer.public_key();
        json(&PublicKeyAnswer {
            pem: key.to_pem(),
            algorithm: key.algorithm().to_string(),
            key_id: key.key_id(),
            hint: key.hint(),
        })
    }

    /// The whole body, while there is room for it.
    async fn body(&self, request: Request<Incoming>) -> Result<Body, Refusal> {
        let length = request.headers().get(CONTENT_LENGTH).ok_or(Refusal::NoLength)?;
        let length: usize =
            length.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Refusal::TooLarge)?;
        if length > MAX_BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
        let room = if length > SMALL_BODY_BYTES {
            let units = u32::try_from(length / BUDGET_UNIT).map_err(|_| Refusal::TooLarge)?;
            let room = Arc::clone(&self.bodies).acquire_many_owned(units).await;
            Some(room.map_err(|_| Refusal::Internal)?)
        } else {
            None
        };
        let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
        Ok(Body { bytes: body.map_err(|_| Refusal::Cut)?.to_bytes(), _room: room })
    }

    /// Decides about a request, carries it out, and writes the decision down.
    async fn decide(
        &self,
        peer: Option<Peer>,
        name: &str,
        route: Route,
        body: Body,
        begun: Instant,
    ) -> Answer {
        let asked = match route {
            Route::SignImage => request::sign_image(&body.bytes),
            _ => request::sign(&body.bytes),
        };
        let (asked, signed) = match asked {
            Ok(asked) => {
                let left = self.limit.saturating_sub(begun.elapsed());
                let seconds = self.limit.as_secs();
                let signed = timeout(left, self.sign(&asked)).await;
                let signed = signed.unwrap_or(Err(Refusal::TimedOut { seconds }));
                (Some(asked), signed)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        self.log.decision(peer, name, asked.as_ref(), signed.as_ref().err(), millis(begun));
        let answer = match (asked, signed) {
            (Some(asked), Ok(signature)) => json(&SignAnswer {
                signature: signature.base64(),
                key_id: self.signer.public_key().key_id(),
                payload_type: asked.payload.media_type.to_owned(),
                payload: asked.made_here.then(|| STANDARD.encode(&asked.payload.bytes)),
            }),
            (_, Err(refusal)) => Err(refusal),
            (None, Ok(_)) => Err(Refusal::Internal),
        };
        answer.unwrap_or_else(|refusal| refused(&refusal))
    }

    /// Signs what is allowed and is there.
    async fn sign(&self, asked: &Asked) -> Result<Signature, Refusal> {
        self.policy.judge(asked)?;
        try_join_all(asked.images.iter().map(|image| look_up(&self.client, image)))
            .await
            .map_err(|error| Refusal::Image(Box::new(error)))?;
        let taken = self.policy.take()?;
        let (signer, message) = (Arc::clone(&self.signer), asked.payload.to_be_signed().into_owned());
        // An RSA signature takes milliseconds.
        let signed = tokio::task::spawn_blocking(move || signer.sign(&message)).await;
        let signature =
            signed.map_err(|_| Refusal::Internal)?.map_err(|error| Refusal::Key(Box::new(error)))?;
        taken.keep();
        Ok(signature)
    }
}

fn route(request: &Request<Incoming>) -> Result<Route, Refusal> {
    let path = request.uri().path();
    let here = || ROUTES.iter().filter(|(_, known, _)| *known == path);
    if let Some((_, _, route)) = here().find(|(method, _, _)| request.method().as_str() == *method) {
        return Ok(*route);
    }
    match here().next() {
        // HEAD is what GET is, without its body, which the server leaves out.
        Some((method, _, route)) if *method == "GET" && request.method() == Method::HEAD => Ok(*route),
        Some((allowed, _, _)) => Err(Refusal::Method { allowed }),
        None => Err(Refusal::Path),
    }
}

fn json(content: &impl Serialize) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(content).map_err(|_| Refusal::Internal)?;
    let mut answer = Response::new(Full::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = json(&refusal.problem()).unwrap_or_default();
    *answer.status_mut() = refusal.status();
    if let Refusal::Method { allowed } = refusal {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
