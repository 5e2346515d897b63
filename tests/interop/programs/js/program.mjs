// Drives the server with the JavaScript SDK v3: `first` writes and checks, `second` reads it all back.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  CopyObjectCommand, CreateBucketCommand, DeleteBucketCommand, DeleteObjectsCommand, GetObjectCommand,
  HeadObjectCommand, ListObjectsV2Command, NoSuchKey, PutObjectCommand, S3Client, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = process.env.BUCKET;
const ODD = "odd/ünï cödé + 100% & 'q'?.txt";
const s3 = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true });
const bytes = (n) => Buffer.from(Uint8Array.from({ length: n }, (_, i) => (i * 31 + Math.floor(i / 251)) & 255));
const BIG = bytes(11 * 1024 * 1024 + 5);
const body = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const get = (Key, more = {}) => s3.send(new GetObjectCommand({ Bucket, Key, ...more }));

async function first() {
  await s3.send(new CreateBucketCommand({ Bucket }));
  const put = await s3.send(new PutObjectCommand({
    Bucket, Key: ODD, Body: bytes(1000), ContentType: "text/x-odd", Metadata: { shade: "blue green" },
  }));
  assert.ok(put.ETag && put.ChecksumCRC32, "the default checksum is answered");
  const answer = await get(ODD, { ChecksumMode: "ENABLED" });
  assert.equal(answer.ContentType, "text/x-odd");
  assert.deepEqual(answer.Metadata, { shade: "blue green" });
  assert.deepEqual(await body(answer), bytes(1000));
  const range = await get(ODD, { Range: "bytes=10-19" });
  assert.equal(range.ContentRange, "bytes 10-19/1000");
  assert.deepEqual(await body(range), bytes(1000).subarray(10, 20));
  await new Upload({
    client: s3, partSize: 5 * 1024 * 1024, queueSize: 3, params: { Bucket, Key: "big", Body: BIG },
  }).done();
  assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "big" }))).ContentLength, BIG.length);
  await s3.send(new CopyObjectCommand({
    Bucket, Key: "copy", CopySource: `${Bucket}/${encodeURIComponent(ODD)}`,
  }));
  for (let i = 0; i < 7; i++) await s3.send(new PutObjectCommand({ Bucket, Key: `page/${i}`, Body: `${i}` }));
  const keys = [];
  let pages = 0;
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 3 }, { Bucket, Prefix: "page/" })) {
    pages += 1;
    keys.push(...(page.Contents ?? []).map((o) => o.Key));
  }
  assert.deepEqual(keys, [0, 1, 2, 3, 4, 5, 6].map((i) => `page/${i}`));
  assert.equal(pages, 3);
  const top = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  assert.deepEqual(top.CommonPrefixes.map((p) => p.Prefix), ["odd/", "page/"]);
  await assert.rejects(
    s3.send(new PutObjectCommand({ Bucket, Key: "copy", Body: "x", IfNoneMatch: "*" })),
    (error) => error.name === "PreconditionFailed" && error.$metadata.httpStatusCode === 412,
  );
  await assert.rejects(get("absent"), (error) => error instanceof NoSuchKey);
  const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: ODD }), { expiresIn: 60 });
  const signed = await fetch(url);
  assert.equal(signed.status, 200);
  assert.deepEqual(Buffer.from(await signed.arrayBuffer()), bytes(1000));
}

async function second() {
  assert.deepEqual(await body(await get(ODD)), bytes(1000));
  assert.deepEqual(await body(await get("copy")), bytes(1000));
  assert.deepEqual(await body(await get("big")), BIG);
  const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
  assert.equal(listed.KeyCount, 10);
  const removed = await s3.send(new DeleteObjectsCommand({
    Bucket, Delete: { Objects: listed.Contents.map(({ Key }) => ({ Key })) },
  }));
  assert.equal(removed.Deleted.length, 10);
  assert.equal(removed.Errors, undefined);
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

await (process.argv[2] === "second" ? second() : first());
const manifest = new URL("./node_modules/@aws-sdk/client-s3/package.json", import.meta.url);
console.log(JSON.stringify({ version: JSON.parse(readFileSync(manifest)).version }));
