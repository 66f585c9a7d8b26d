package image_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
)

// An image for one platform is made of a closure of store paths, one of which is its
// root file system. The index that joins the platforms gets a name.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	// A store with a program and a root file system that links to it.
	const (
		program = "/nix/store/00000000000000000000000000000000-hello-1.0"
		root    = "/nix/store/11111111111111111111111111111111-hello-root"
	)
	for _, folder := range []string{program + "/bin", root + "/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, program, "bin/hello"), []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.Symlink(program+"/bin/hello", filepath.Join(dir, root, "bin/hello")); err != nil {
		log.Fatal(err)
	}

	dist, err := layout.Create(ctx, filepath.Join(dir, "dist"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer dist.Close()
	result, err := image.Assemble(ctx, dist, image.Spec{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Closure: []nix.PathInfo{
			{Path: program, NarHash: "sha256:program", NarSize: 400},
			{Path: root, NarHash: "sha256:root", NarSize: 300, References: []string{program}},
		},
		Root:    root,
		Config:  v1.Config{Entrypoint: []string{"/bin/hello"}},
		Created: time.Unix(0, 0),
	}, image.Options{Cache: image.NewCache(""), StoreRoot: dir})
	if err != nil {
		log.Fatal(err)
	}
	index, err := image.Index(ctx, dist, []v1.Descriptor{result.Descriptor}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := dist.Put("hello-cli-default:1.0-1", index, nil); err != nil {
		log.Fatal(err)
	}
	for _, layer := range result.Layers {
		fmt.Println(layer.Name)
	}
	entry, _, err := dist.Lookup("hello-cli-default:1.0-1")
	fmt.Println(entry.Annotations[layout.RefNameAnnotation], entry.Complete, err)
	// Output:
	// /nix/store/00000000000000000000000000000000-hello-1.0
	// /nix/store/11111111111111111111111111111111-hello-root
	// hello-cli-default:1.0-1 true <nil>
}
