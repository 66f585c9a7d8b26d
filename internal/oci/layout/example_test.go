package layout_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
)

// An image is written from the bottom up: its blobs, its manifest and last its name.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	dist, err := layout.Create(ctx, filepath.Join(dir, "dist"), nil)
	if err != nil {
		log.Fatal(err)
	}
	digest, size, err := dist.WriteBlob(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, "the bytes of a layer")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	config, err := dist.WriteJSON(ctx, types.OCIConfigJSON, v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		log.Fatal(err)
	}
	manifest, err := dist.WriteJSON(ctx, types.OCIManifestSchema1, v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        config,
		Layers:        []v1.Descriptor{{MediaType: types.OCIUncompressedLayer, Digest: digest, Size: size}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := dist.Put("docs-backend-default:5.4.1-1", manifest, nil); err != nil {
		log.Fatal(err)
	}
	if err := dist.Close(); err != nil {
		log.Fatal(err)
	}

	reader, err := layout.Open(filepath.Join(dir, "dist"))
	if err != nil {
		log.Fatal(err)
	}
	entry, found, err := reader.Lookup("docs-backend-default:5.4.1-1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("found:", found)
	fmt.Println("complete:", entry.Complete)
	fmt.Println("layers:", entry.Layers)
	// Output:
	// found: true
	// complete: true
	// layers: 1
}

// The error lists the other platforms.
func ExampleLayout_ForPlatform() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dist, err := layout.Create(ctx, dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer dist.Close()

	manifest, err := dist.WriteJSON(ctx, types.OCIManifestSchema1, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1})
	if err != nil {
		log.Fatal(err)
	}
	manifest.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	for _, architecture := range []string{"amd64", "arm64"} {
		found, err := dist.ForPlatform([]v1.Descriptor{manifest}, v1.Platform{OS: "linux", Architecture: architecture})
		fmt.Println(architecture, found.Digest == manifest.Digest, err)
	}
	// Output:
	// amd64 true <nil>
	// arm64 false it holds no image for linux/arm64, only for linux/amd64
}
