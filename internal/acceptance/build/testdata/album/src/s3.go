package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	unsigned  = "UNSIGNED-PAYLOAD"
)

// presigned is a URL that allows one request for an object at an endpoint:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func presigned(method, endpoint, key string) string {
	now := time.Now().UTC()
	address, _ := url.Parse(endpoint)
	address.Path = "/" + os.Getenv("S3_BUCKET") + "/" + key
	query := url.Values{
		"X-Amz-Algorithm": {algorithm}, "X-Amz-Credential": {os.Getenv("S3_ACCESS_KEY") + "/" + scope(now)}, "X-Amz-Date": {now.Format("20060102T150405Z")},
		"X-Amz-Expires": {"60"}, "X-Amz-SignedHeaders": {"host"},
	}
	canonical := strings.Join([]string{method, address.EscapedPath(), query.Encode(), "host:" + address.Host + "\n", "host", unsigned}, "\n")
	query.Set("X-Amz-Signature", signature(now, canonical))
	address.RawQuery = query.Encode()
	return address.String()
}

// headers are those that allow a GET of an object:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func headers(key string) http.Header {
	now := time.Now().UTC()
	address, _ := url.Parse(os.Getenv("S3_ENDPOINT"))
	date := now.Format("20060102T150405Z")
	signed := "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{
		"GET", "/" + os.Getenv("S3_BUCKET") + "/" + key, "", "host:" + address.Host + "\nx-amz-content-sha256:" + unsigned + "\nx-amz-date:" + date + "\n", signed, unsigned,
	}, "\n")
	return http.Header{
		"X-Amz-Date": {date}, "X-Amz-Content-Sha256": {unsigned},
		"Authorization": {fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", algorithm, os.Getenv("S3_ACCESS_KEY"), scope(now), signed, signature(now, canonical))},
	}
}

func scope(now time.Time) string {
	return now.Format("20060102") + "/" + os.Getenv("S3_REGION") + "/s3/aws4_request"
}

func signature(now time.Time, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, now.Format("20060102T150405Z"), scope(now), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + os.Getenv("S3_SECRET_KEY"))
	for _, part := range []string{now.Format("20060102"), os.Getenv("S3_REGION"), "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}
