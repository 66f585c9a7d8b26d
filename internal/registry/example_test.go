package registry_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
)

// Example pushes an image of an OCI layout by its digest, tags it and reads it back.
func Example() {
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ctx := context.Background()
	if err := pushAndRead(ctx, strings.TrimPrefix(server.URL, "http://")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// pushed coop/docs@sha256:0f5c551cfa1ede3a006e847afd6fcb69641dca252d032555486a0ceda6b7ab73
	// the tag points to that digest: true
	// read: application/vnd.oci.image.index.v1+json
}

func pushAndRead(ctx context.Context, host string) error {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: empty.Image})
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(index)
	}
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}

	client, err := registry.NewClient(host+"/coop", registry.Options{})
	if err != nil {
		return err
	}
	ref := catalog.Ref{Repository: "docs", Tag: "1.0-1"}
	pushed, err := client.PushIndex(ctx, dir, digest, ref)
	if err != nil {
		return err
	}
	fmt.Printf("pushed %s@%s\n", pushed.Context().RepositoryStr(), pushed.DigestStr())
	if err := client.SetTag(ctx, ref, pushed); err != nil {
		return err
	}
	tag, err := client.Tag(ref)
	if err != nil {
		return err
	}
	head, err := client.Head(ctx, tag)
	if err != nil {
		return err
	}
	fmt.Println("the tag points to that digest:", head.Digest == digest)
	manifest, err := client.Get(ctx, pushed)
	if err != nil {
		return err
	}
	fmt.Println("read:", manifest.MediaType)
	return nil
}
