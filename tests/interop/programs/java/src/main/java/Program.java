import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.CommonPrefix;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** Drives the server with the AWS SDK for Java v2: "first" writes and checks, "second" reads it all back. */
public final class Program {
  private static final String ODD = "odd/ünï cödé + 100% & 'q'?.txt";
  private static final int PART = 5 << 20;
  private static final String BUCKET = System.getenv("BUCKET");
  private static final URI ENDPOINT = URI.create(System.getenv("ENDPOINT"));
  private static final S3Client S3 = S3Client.builder()
      .endpointOverride(ENDPOINT)
      .region(Region.US_EAST_1)
      .forcePathStyle(true)
      .credentialsProvider(EnvironmentVariableCredentialsProvider.create())
      .httpClient(UrlConnectionHttpClient.create())
      .build();

  public static void main(String[] args) throws Exception {
    byte[] big = pattern(2 * PART + 1000);
    if (args.length > 0 && args[0].equals("second")) {
      second(big);
    } else {
      first(big);
    }
    System.out.println("{\"version\": \"" + VersionInfo.SDK_VERSION + "\"}");
  }

  private static void first(byte[] big) throws Exception {
    S3.createBucket(r -> r.bucket(BUCKET));
    var put = S3.putObject(
        r -> r.bucket(BUCKET).key(ODD).contentType("text/x-odd").metadata(Map.of("shade", "blue green")),
        RequestBody.fromBytes(pattern(1000)));
    same(put.checksumCRC32() != null, true, "the default checksum is answered");
    var got = read(ODD, null);
    same(Arrays.equals(got.asByteArray(), pattern(1000)), true, "the body comes back");
    same(got.response().contentType(), "text/x-odd", "content type");
    same(got.response().metadata(), Map.of("shade", "blue green"), "metadata");
    var range = read(ODD, "bytes=10-19");
    same(range.response().contentRange(), "bytes 10-19/1000", "content range");
    same(Arrays.equals(range.asByteArray(), Arrays.copyOfRange(pattern(1000), 10, 20)), true, "range");
    multipart("big", big);
    S3.copyObject(r -> r.sourceBucket(BUCKET).sourceKey(ODD).destinationBucket(BUCKET).destinationKey("copy"));
    listing();
    refusals();
    presigned();
  }

  private static void second(byte[] big) {
    same(Arrays.equals(read(ODD, null).asByteArray(), pattern(1000)), true, ODD);
    same(Arrays.equals(read("copy", null).asByteArray(), pattern(1000)), true, "copy");
    same(Arrays.equals(read("big", null).asByteArray(), big), true, "big");
    List<ObjectIdentifier> all = S3.listObjectsV2(r -> r.bucket(BUCKET)).contents().stream()
        .map(o -> ObjectIdentifier.builder().key(o.key()).build()).toList();
    same(all.size(), 10, "objects");
    var removed = S3.deleteObjects(r -> r.bucket(BUCKET).delete(d -> d.objects(all)));
    same(removed.deleted().size(), 10, "deleted");
    same(removed.errors().size(), 0, "delete errors");
    S3.deleteBucket(r -> r.bucket(BUCKET));
  }

  private static void multipart(String key, byte[] body) {
    String id = S3.createMultipartUpload(r -> r.bucket(BUCKET).key(key)).uploadId();
    List<CompletedPart> parts = new ArrayList<>();
    for (int start = 0; start < body.length; start += PART) {
      byte[] piece = Arrays.copyOfRange(body, start, Math.min(body.length, start + PART));
      int number = parts.size() + 1;
      var sent = S3.uploadPart(
          r -> r.bucket(BUCKET).key(key).uploadId(id).partNumber(number), RequestBody.fromBytes(piece));
      parts.add(CompletedPart.builder()
          .partNumber(number).eTag(sent.eTag()).checksumCRC32(sent.checksumCRC32()).build());
    }
    S3.completeMultipartUpload(
        r -> r.bucket(BUCKET).key(key).uploadId(id).multipartUpload(m -> m.parts(parts)));
    same(S3.headObject(r -> r.bucket(BUCKET).key(key)).contentLength(), (long) body.length, "big length");
  }

  private static void listing() {
    List<String> want = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      String key = "page/" + i;
      want.add(key);
      S3.putObject(r -> r.bucket(BUCKET).key(key), RequestBody.fromString(key));
    }
    var got = S3.listObjectsV2Paginator(r -> r.bucket(BUCKET).prefix("page/").maxKeys(3))
        .contents().stream().map(S3Object::key).toList();
    same(got, want, "listed");
    var prefixes = S3.listObjectsV2(r -> r.bucket(BUCKET).delimiter("/")).commonPrefixes();
    same(prefixes.stream().map(CommonPrefix::prefix).toList(), List.of("odd/", "page/"), "common prefixes");
  }

  private static void refusals() {
    try {
      S3.putObject(r -> r.bucket(BUCKET).key("copy").ifNoneMatch("*"), RequestBody.fromString("x"));
      throw new AssertionError("If-None-Match: * overwrote");
    } catch (S3Exception refused) {
      same(refused.awsErrorDetails().errorCode(), "PreconditionFailed", "If-None-Match");
    }
    try {
      read("absent", null);
      throw new AssertionError("an absent key was found");
    } catch (NoSuchKeyException expected) {
      same(expected.statusCode(), 404, "absent key");
    }
  }

  private static void presigned() throws Exception {
    try (S3Presigner presigner = S3Presigner.builder()
        .endpointOverride(ENDPOINT).region(Region.US_EAST_1)
        .credentialsProvider(EnvironmentVariableCredentialsProvider.create())
        .serviceConfiguration(S3Configuration.builder().pathStyleAccessEnabled(true).build())
        .build()) {
      var signed = presigner.presignGetObject(r -> r
          .signatureDuration(Duration.ofMinutes(1)).getObjectRequest(g -> g.bucket(BUCKET).key(ODD)));
      var answer = HttpClient.newHttpClient().send(
          HttpRequest.newBuilder(signed.url().toURI()).build(), HttpResponse.BodyHandlers.ofByteArray());
      same(answer.statusCode(), 200, "presigned status");
      same(Arrays.equals(answer.body(), pattern(1000)), true, "presigned body");
    }
  }

  private static ResponseBytes<GetObjectResponse> read(String key, String range) {
    return S3.getObjectAsBytes(
        r -> r.bucket(BUCKET).key(key).range(range).checksumMode(ChecksumMode.ENABLED));
  }

  private static byte[] pattern(int length) {
    byte[] out = new byte[length];
    for (int i = 0; i < length; i++) {
      out[i] = (byte) (i * 31 + i / 251);
    }
    return out;
  }

  private static void same(Object got, Object want, String what) {
    if (!Objects.equals(got, want)) {
      throw new AssertionError(what + ": got " + got + ", want " + want);
    }
  }
}
