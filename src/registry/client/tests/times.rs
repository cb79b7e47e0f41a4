//! How long answers take is known of each registry by itself.

use super::other_hosts::{realm, token, wants};
use super::server::{Reply, Server, answer};
use super::*;

/// Longer than any answer from this machine that isn't held back.
const FAR: Duration = Duration::from_millis(400);

fn late(reply: Reply) -> Reply {
    Reply::Late(FAR, Box::new(reply))
}

/// A client for these registries, over plain HTTP.
fn client_of(servers: &[&Server]) -> Client {
    let mut options = options();
    options.insecure.extend(servers.iter().map(|server| server.host()));
    Client::new(options, keys(&["ci"])).unwrap()
}

/// Reads from it often enough that one answer is quick.
async fn read(client: &Client, repository: &Repository) {
    for _ in 0..20 {
        client.manifest(repository, &tag("v1")).await.unwrap();
    }
}

async fn write(client: &Client, repository: &Repository) {
    client.put_manifest(repository, &tag("new"), "x/y", Bytes::from_static(b"{}")).await.unwrap();
}

#[tokio::test]
async fn neither_a_near_registry_nor_a_slow_one_changes_what_is_known_of_another() {
    let near = Server::start(|_, _| answer(200, &[], "{}")).await;
    let slow = Server::start(|_, _| late(answer(200, &[], "{}"))).await;
    let client = client_of(&[&near, &slow]);
    let (near, slow) = (near.repository(), slow.repository());
    for repository in [&near, &slow] {
        assert_eq!((client.fastest(repository), client.is_near(repository)), (None, false));
    }

    read(&client, &near).await;
    assert!(client.is_near(&near));
    assert_eq!((client.fastest(&slow), client.is_near(&slow)), (None, false));

    write(&client, &slow).await;
    assert!(client.slow_write(&slow) >= FAR && client.fastest(&slow) >= Some(FAR) && !client.is_near(&slow));
    assert!(client.slow_write(&near).is_zero() && client.is_near(&near));

    // All repositories of a registry have the same figures.
    let beside = format!("{}/another/app", near.registry()).parse().unwrap();
    assert_eq!(client.fastest(&beside), client.fastest(&near));
}

#[tokio::test]
async fn a_token_service_shows_nothing_of_its_registry() {
    let service = Server::start(|_, _| token("t")).await;
    let address = format!("http://{}", service.host());
    let registry = Server::start(move |seen, _| {
        late(match seen.who().as_deref() {
            Some("t") => answer(200, &[], "{}"),
            _ => wants(&realm(&address)),
        })
    })
    .await;
    let client = client_of(&[&registry, &service]);
    client.manifest(&registry.repository(), &tag("v1")).await.unwrap();
    assert_eq!(service.lines().len(), 1);
    assert!(client.fastest(&registry.repository()) >= Some(FAR));
    assert_eq!(client.fastest(&service.repository()), None);
}

#[tokio::test]
async fn storage_shows_how_slowly_its_registry_writes_and_not_how_close_it_is() {
    for (registry_is_late, storage_is_late) in [(true, false), (false, true)] {
        let late_if = |is: bool, reply| if is { late(reply) } else { reply };
        let storage = Server::start(move |seen, _| match seen.method.as_str() {
            "PUT" => late_if(storage_is_late, answer(201, &[], "")),
            _ => answer(200, &[], "{}"),
        })
        .await;
        let address = format!("http://{}/there", storage.host());
        let registry = Server::start(move |seen, _| {
            let reply = match seen.method.as_str() {
                "POST" => answer(202, &[("Location", &address)], ""),
                "GET" => answer(307, &[("Location", &address)], ""),
                _ => answer(404, &[], ""),
            };
            late_if(registry_is_late, reply)
        })
        .await;
        let client = client_of(&[&registry]);
        let repository = registry.repository();
        client.put_blob(&repository, Bytes::from_static(b"it")).await.unwrap();
        client.manifest(&repository, &tag("v1")).await.unwrap();
        assert_eq!(client.fastest(&repository) >= Some(FAR), registry_is_late, "{:?}", registry.lines());
        assert_eq!(client.slow_write(&repository) >= FAR, storage_is_late, "{:?}", storage.lines());
        assert_eq!(client.fastest(&storage.repository()), None);
    }
}

#[tokio::test]
async fn what_refuses_for_the_moment_may_stand_before_the_registry() {
    let server = Server::start(|_, number| match number {
        0 => answer(503, &[], ""),
        _ => late(answer(200, &[], "{}")),
    })
    .await;
    let client = client_of(&[&server]);
    client.manifest(&server.repository(), &tag("v1")).await.unwrap();
    assert!(client.fastest(&server.repository()) >= Some(FAR));
}
