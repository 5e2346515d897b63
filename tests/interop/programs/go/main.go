// Drives the server with the AWS SDK for Go v2: `first` writes and checks, `second` reads it all back.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const odd = "odd/ünï cödé + 100% & 'q'?.txt"

var (
	ctx    = context.Background()
	bucket = aws.String(os.Getenv("BUCKET"))
)

func pattern(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*31 + i/251)
	}
	return out
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatalf("%T: %v", value, err)
	}
	return value
}

func check(holds bool, what string, args ...any) {
	if !holds {
		log.Fatalf(what, args...)
	}
}

func same(got, want any, what string) {
	check(reflect.DeepEqual(got, want), "%s: got %v, want %v", what, got, want)
}

func read(client *s3.Client, key string, bounds *string) ([]byte, *s3.GetObjectOutput) {
	answer := must(client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: bucket, Key: &key, Range: bounds, ChecksumMode: types.ChecksumModeEnabled}))
	defer answer.Body.Close()
	return must(io.ReadAll(answer.Body)), answer
}

func put(client *s3.Client, key string, body []byte) {
	must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)}))
}

func first(client *s3.Client, big []byte) {
	must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
	answer := must(client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String(odd), Body: bytes.NewReader(pattern(1000)),
		ContentType: aws.String("text/x-odd"), Metadata: map[string]string{"shade": "blue green"}}))
	check(answer.ChecksumCRC32 != nil, "the default checksum is answered")
	body, got := read(client, odd, nil)
	check(bytes.Equal(body, pattern(1000)), "the body differs")
	same(*got.ContentType, "text/x-odd", "content type")
	same(got.Metadata, map[string]string{"shade": "blue green"}, "metadata")
	body, got = read(client, odd, aws.String("bytes=10-19"))
	check(bytes.Equal(body, pattern(1000)[10:20]), "the range differs")
	same(*got.ContentRange, "bytes 10-19/1000", "content range")

	uploader := manager.NewUploader(client, func(u *manager.Uploader) { u.PartSize = 5 << 20 })
	must(uploader.Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("big"), Body: bytes.NewReader(big)}))
	must(client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String(*bucket + "/" + url.PathEscape(odd))}))
	listing(client)
	refusals(client)
	signed := must(s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String(odd)}))
	plain := must(http.Get(signed.URL))
	same(plain.StatusCode, 200, "presigned status")
	check(bytes.Equal(must(io.ReadAll(plain.Body)), pattern(1000)), "the presigned body differs")
}

func listing(client *s3.Client) {
	var want, got []string
	for i := range 7 {
		key := fmt.Sprintf("page/%d", i)
		want = append(want, key)
		put(client, key, []byte(key))
	}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket: bucket, Prefix: aws.String("page/"), MaxKeys: aws.Int32(3)})
	for pages.HasMorePages() {
		for _, object := range must(pages.NextPage(ctx)).Contents {
			got = append(got, *object.Key)
		}
	}
	same(got, want, "listed")
	top := must(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Delimiter: aws.String("/")}))
	var prefixes []string
	for _, prefix := range top.CommonPrefixes {
		prefixes = append(prefixes, *prefix.Prefix)
	}
	same(prefixes, []string{"odd/", "page/"}, "common prefixes")
}

func refusals(client *s3.Client) {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("copy"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
	var api smithy.APIError
	check(errors.As(err, &api) && api.ErrorCode() == "PreconditionFailed", "If-None-Match: %v", err)
	_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("absent")})
	var missing *types.NoSuchKey
	check(errors.As(err, &missing), "absent key: %v", err)
}

func second(client *s3.Client, big []byte) {
	for key, want := range map[string][]byte{odd: pattern(1000), "copy": pattern(1000)} {
		got, _ := read(client, key, nil)
		check(bytes.Equal(got, want), "%s differs", key)
	}
	buffer := manager.NewWriteAtBuffer(make([]byte, len(big)))
	must(manager.NewDownloader(client, func(d *manager.Downloader) { d.PartSize = 5 << 20 }).Download(
		ctx, buffer, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("big")}))
	check(bytes.Equal(buffer.Bytes(), big), "big differs")
	listed := must(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}))
	same(len(listed.Contents), 10, "objects")
	var all []types.ObjectIdentifier
	for _, object := range listed.Contents {
		all = append(all, types.ObjectIdentifier{Key: object.Key})
	}
	removed := must(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: all}}))
	same(len(removed.Deleted), 10, "deleted")
	same(len(removed.Errors), 0, "delete errors")
	must(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}))
}

func main() {
	log.SetFlags(0)
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(os.Getenv("ENDPOINT")), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // as the config loader sets them
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
	big := pattern(11<<20 + 5)
	if len(os.Args) > 1 && os.Args[1] == "second" {
		second(client, big)
	} else {
		first(client, big)
	}
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/aws/aws-sdk-go-v2/service/s3" {
				version = strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	fmt.Printf("{\"version\": %q}\n", version)
}
