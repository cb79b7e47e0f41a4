//! The routes, and what happens on them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio::time::timeout;

use super::body::{Body, Parts};
use super::connections::Seat;
use super::lookups::Lookups;
use super::room::{Lease, Room};
use super::worker::Worker;
use super::{Asked, Kind, Log, Peer, Policy, Refusal, request};
use crate::flow::look_up;
use crate::key::Signature;
use crate::oci::ImageRef;
use crate::registry::client::Client;
use crate::sign::Signer;
use crate::sign::remote::wire::{self, HealthAnswer, PublicKeyAnswer, SignAnswer};

/// Requests that are decided at once, also those whose clients have gone. Each has the beginning of a body, or room of its own.
const MAX_DECISIONS: usize = 1024;
/// How many look-ups may belong to one request, so that a request with many images doesn't delay requests with few.
const MAX_LOOKUPS_EACH: usize = 4;
/// How long a client must wait that was refused for lack of room, in seconds.
const RETRY_SECONDS: &str = "1";

/// A path and its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST`: signs a payload.
    Sign,
    /// Makes an image's payload and signs it.
    SignImage,
    /// `GET`: returns the public key.
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
    room: Arc<Room>,
    decisions: Arc<Semaphore>,
    lookups: Lookups,
    /// Where long payloads are read and signed, one at a time.
    worker: Worker,
    /// Held for reading by every request that is being decided.
    working: Arc<RwLock<()>>,
}

/// A request that has come, and from where.
struct Arrived {
    peer: Option<Peer>,
    /// Its method and path.
    name: String,
    route: Route,
    begun: Instant,
}

pub(super) type Answer = Response<Full<Bytes>>;

impl Agent {
    /// An agent that signs with `signer` under `policy`, looks images up with `client`, and gives each request `limit`.
    pub fn new(signer: Arc<dyn Signer>, client: Client, policy: Policy, log: Log, limit: Duration) -> Self {
        Self {
            signer,
            client,
            policy,
            log,
            limit,
            room: Arc::default(),
            decisions: Arc::new(Semaphore::new(MAX_DECISIONS)),
            lookups: Lookups::new(),
            worker: Worker::new(),
            working: Arc::default(),
        }
    }

    /// Waits until nothing is being decided, also for clients that have gone.
    pub(super) async fn idle(&self) {
        drop(self.working.write().await);
    }

    /// Returns the log of the agent.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Answers one request of the connection that has `seat`.
    pub(super) async fn answer(
        self: &Arc<Self>,
        peer: Option<Peer>,
        seat: &Seat,
        request: Request<Incoming>,
    ) -> Answer {
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
                let arrived = self.arrived(request, seat, begun).await;
                match arrived {
                    Ok((body, turn)) => {
                        seat.decided();
                        let answer = self.begin(Arrived { peer, name, route, begun }, body, turn).await;
                        seat.answered();
                        return answer;
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            Err(refusal) => Err(refusal),
        };
        let answer = answer.unwrap_or_else(|refusal| {
            self.log.decision(peer, &name, None, Some(&refusal), millis(begun));
            refused(&refusal)
        });
        seat.answered();
        answer
    }

    /// A request's whole body, when it is its turn to be decided. Ends with its connection: nothing of it is left then.
    async fn arrived(
        &self,
        request: Request<Incoming>,
        seat: &Seat,
        begun: Instant,
    ) -> Result<(Body, OwnedSemaphorePermit), Refusal> {
        let deadline = begun + self.limit;
        let body = self.room.read(request, self.policy.max_body_bytes(), seat, deadline).await?;
        let turn = Arc::clone(&self.decisions).acquire_owned();
        let turn = timeout(self.limit.saturating_sub(begun.elapsed()), turn).await;
        Ok((body, turn.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Internal)?))
    }

    /// A begun signature is finished and logged, whether the client waits for it or not.
    async fn begin(self: &Arc<Self>, arrived: Arrived, body: Body, turn: OwnedSemaphorePermit) -> Answer {
        let agent = Arc::clone(self);
        let working = Arc::clone(&self.working).read_owned().await;
        let decided = async move {
            let answer = agent.decide(&arrived, body).await;
            drop((working, turn));
            answer
        };
        tokio::spawn(decided).await.unwrap_or_else(|_| refused(&Refusal::Internal))
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

    /// Decides about a request, carries it out, and writes the decision down.
    async fn decide(&self, arrived: &Arrived, body: Body) -> Answer {
        let Arrived { peer, ref name, route, begun } = *arrived;
        let left = || self.limit.saturating_sub(begun.elapsed());
        let Body { parts, room } = body;
        let room = room.map(Arc::new);
        let asked = match &room {
            None => understand(route, parts.join(), self.policy.kinds()),
            Some(room) => timeout(left(), self.read(route, parts, room)).await.unwrap_or(Err(Refusal::Busy)),
        };
        let (asked, signed) = match asked {
            Ok(asked) => {
                let seconds = self.limit.as_secs();
                let signed = timeout(left(), self.sign(&asked, room.as_ref())).await;
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
        drop(room);
        answer.unwrap_or_else(|refusal| refused(&refusal))
    }

    /// Reads a long request beside the others, which are answered meanwhile.
    async fn read(&self, route: Route, parts: Parts, room: &Arc<Lease>) -> Result<Asked, Refusal> {
        let (kinds, room) = (self.policy.kinds().to_vec(), Arc::clone(room));
        let read = move || {
            let asked = understand(route, parts.join(), &kinds);
            // It is held to the end of the work, also when the time of the request is up.
            drop(room);
            asked
        };
        self.worker.run(read).await?
    }

    /// Signs what is allowed and is there. A long request has `room`.
    async fn sign(&self, asked: &Asked, room: Option<&Arc<Lease>>) -> Result<Signature, Refusal> {
        self.policy.judge(asked)?;
        let lookups: Vec<_> = asked.images.iter().map(|image| self.look_up(image)).collect();
        stream::iter(lookups).buffer_unordered(MAX_LOOKUPS_EACH).try_collect::<()>().await?;
        let taken = self.policy.take()?;
        let (number, ledger) = (taken.number(), self.policy.ledger());
        let (signer, payload) = (Arc::clone(&self.signer), asked.payload.clone());
        let held = room.cloned();
        let sign = move || {
            if let Some(ledger) = ledger {
                ledger.record(number).map_err(|error| Refusal::Ledger(Box::new(error)))?;
            }
            let signed = signer.sign(&payload.to_be_signed()).map_err(|error| Refusal::Key(Box::new(error)));
            drop((payload, held));
            signed
        };
        // An RSA signature takes milliseconds, and the disk too.
        let signature = match room {
            Some(_) => self.worker.run(sign).await??,
            None => tokio::task::spawn_blocking(sign).await.map_err(|_| Refusal::Internal)??,
        };
        taken.keep();
        Ok(signature)
    }

    /// Looks one image up, when it is its turn.
    async fn look_up(&self, image: &ImageRef) -> Result<(), Refusal> {
        let _turn = self.lookups.turn(&image.repository).await?;
        look_up(&self.client, image).await.map(drop).map_err(|error| Refusal::Image(Box::new(error)))
    }
}

fn understand(route: Route, bytes: Vec<u8>, kinds: &[Kind]) -> Result<Asked, Refusal> {
    match route {
        // Its payload is made here, and can be no longer than what such a body holds.
        Route::SignImage if bytes.len() > Kind::Image.max_body_bytes() => {
            Err(Refusal::TooLarge { limit: Kind::Image.max_body_bytes() })
        }
        Route::SignImage => request::sign_image(&bytes),
        _ => request::sign(bytes, kinds),
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
    if matches!(refusal, Refusal::Busy) {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    }
    answer
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
