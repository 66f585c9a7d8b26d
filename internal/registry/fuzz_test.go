package registry

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// FuzzList reads a registry's list of what is attached to an image.
func FuzzList(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		list, is, err := readList(bytes.NewReader(body), nil)
		if is && err != nil {
			t.Errorf("a list, and %v", err)
		}
		for _, referrer := range list.Manifests {
			if referrer.Digest.Hex == "" {
				t.Errorf("no digest: %+v", referrer)
			}
		}
	})
}

// FuzzNextPage reads where the next page of a list is. It must be of the list.
func FuzzNextPage(f *testing.F) {
	repository, err := name.NewRepository("registry.example/coop/docs")
	if err != nil {
		f.Fatal(err)
	}
	asked := &url.URL{Scheme: "https", Host: "registry.example", Path: "/v2/coop/docs/tags/list"}
	f.Fuzz(func(t *testing.T, link string) {
		next, err := nextPage(&http.Response{Header: http.Header{"Link": {link}}, Request: &http.Request{URL: asked}}, "tags/list?n=1000")
		if next == "" || err != nil {
			return
		}
		followed, err := url.Parse(repositoryURL(repository, next))
		if err != nil || followed.Host != "registry.example" || followed.Path != "/v2/coop/docs/tags/list" {
			t.Errorf("%q leads to %v, %v", link, followed, err)
		}
	})
}
