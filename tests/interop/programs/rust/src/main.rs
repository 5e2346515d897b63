//! Drives the server with the AWS SDK for Rust: `first` writes and checks, `second` reads it all back.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use aws_sdk_s3::{Client, Config};
use std::{env, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Outcome = Result<(), Box<dyn std::error::Error>>;
const ODD: &str = "odd/ünï cödé + 100% & 'q'?.txt";
const PART: usize = 5 << 20;

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn read(s3: &Client, bucket: &str, key: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let got = s3.get_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled).send().await?;
    Ok(got.body.collect().await?.to_vec())
}

async fn multipart(s3: &Client, bucket: &str, key: &str, body: &[u8]) -> Outcome {
    let started = s3.create_multipart_upload().bucket(bucket).key(key).send().await?;
    let id = started.upload_id().ok_or("no upload id")?;
    let mut parts = CompletedMultipartUpload::builder();
    for (index, piece) in body.chunks(PART).enumerate() {
        let number = index as i32 + 1;
        let sent = s3
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(id)
            .part_number(number)
            .body(ByteStream::from(piece.to_vec()))
            .send()
            .await?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        parts = parts.parts(part.set_checksum_crc32(sent.checksum_crc32).build());
    }
    let upload = parts.build();
    s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(id).multipart_upload(upload).send().await?;
    Ok(())
}

async fn listing(s3: &Client, bucket: &str) -> Outcome {
    let want: Vec<String> = (0..7).map(|i| format!("page/{i}")).collect();
    for key in &want {
        s3.put_object().bucket(bucket).key(key).body(ByteStream::from(key.clone().into_bytes())).send().await?;
    }
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix("page/").max_keys(3).into_paginator().send();
    let mut got = Vec::new();
    while let Some(page) = pages.next().await {
        got.extend(page?.contents().iter().filter_map(|o| o.key().map(String::from)));
    }
    assert_eq!(got, want);
    let top = s3.list_objects_v2().bucket(bucket).delimiter("/").send().await?;
    let prefixes: Vec<_> = top.common_prefixes().iter().filter_map(|p| p.prefix()).collect();
    assert_eq!(prefixes, ["odd/", "page/"]);
    Ok(())
}

async fn plain_get(uri: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let rest = uri.strip_prefix("http://").ok_or("not http")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn first(s3: &Client, bucket: &str, big: &[u8]) -> Outcome {
    s3.create_bucket().bucket(bucket).send().await?;
    let body = ByteStream::from(pattern(1000));
    let put = s3.put_object().bucket(bucket).key(ODD).body(body).content_type("text/x-odd");
    let put = put.metadata("shade", "blue green").send().await?;
    assert!(put.checksum_crc32().is_some(), "the default checksum is answered");
    let got = s3.get_object().bucket(bucket).key(ODD).range("bytes=10-19").send().await?;
    assert_eq!(got.content_range(), Some("bytes 10-19/1000"));
    assert_eq!(got.content_type(), Some("text/x-odd"));
    assert_eq!(got.metadata().and_then(|m| m.get("shade")).map(String::as_str), Some("blue green"));
    assert_eq!(got.body.collect().await?.to_vec(), pattern(1000)[10..20]);
    assert_eq!(read(s3, bucket, ODD).await?, pattern(1000));
    multipart(s3, bucket, "big", big).await?;
    let source = format!("{bucket}/odd/%C3%BCn%C3%AF%20c%C3%B6d%C3%A9%20%2B%20100%25%20%26%20%27q%27%3F.txt");
    s3.copy_object().bucket(bucket).key("copy").copy_source(source).send().await?;
    listing(s3, bucket).await?;
    let again = s3.put_object().bucket(bucket).key("copy").if_none_match("*").send().await;
    assert_eq!(again.as_ref().err().and_then(|e| e.code()), Some("PreconditionFailed"), "{again:?}");
    let missing = s3.get_object().bucket(bucket).key("absent").send().await.err().ok_or("absent was found")?;
    assert!(missing.as_service_error().is_some_and(|e| e.is_no_such_key()), "{missing:?}");
    let life = PresigningConfig::expires_in(Duration::from_secs(60))?;
    let signed = s3.get_object().bucket(bucket).key(ODD).presigned(life).await?;
    let answer = plain_get(signed.uri()).await?;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(answer.ends_with(&pattern(1000)));
    Ok(())
}

async fn second(s3: &Client, bucket: &str, big: &[u8]) -> Outcome {
    assert_eq!(read(s3, bucket, ODD).await?, pattern(1000));
    assert_eq!(read(s3, bucket, "copy").await?, pattern(1000));
    assert!(read(s3, bucket, "big").await? == big, "big differs");
    let listed = s3.list_objects_v2().bucket(bucket).send().await?;
    assert_eq!(listed.contents().len(), 10);
    let mut all = Delete::builder();
    for object in listed.contents() {
        all = all.objects(ObjectIdentifier::builder().set_key(object.key.clone()).build()?);
    }
    let removed = s3.delete_objects().bucket(bucket).delete(all.build()?).send().await?;
    assert_eq!((removed.deleted().len(), removed.errors().len()), (10, 0));
    s3.delete_bucket().bucket(bucket).send().await?;
    Ok(())
}

fn described<E: std::fmt::Debug>(error: SdkError<E>) -> String {
    format!("{error:?}")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let (id, secret) = (env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(env::var("ENDPOINT")?)
        .force_path_style(true)
        .credentials_provider(Credentials::new(id, secret, None, None, "env"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let (s3, bucket) = (Client::from_conf(config), env::var("BUCKET")?);
    let big = pattern(2 * PART + 1000);
    match env::args().nth(1).as_deref() {
        Some("second") => second(&s3, &bucket, &big).await?,
        _ => first(&s3, &bucket, &big).await?,
    }
    s3.list_buckets().send().await.map_err(described)?;
    println!("{{\"version\": \"{}\"}}", aws_sdk_s3::meta::PKG_VERSION);
    Ok(())
}
